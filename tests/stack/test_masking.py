import pytest

from tests.stack.files import FIVE_KEYS, RECIPIENT, file_with, mistakes_in, only_mistake
from understudy.stack.loader import parse_stack
from understudy.stack.mistakes import StackFileInvalid


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://app:hunter2@db/x",
        "postgresql://app:p@ss/hunter2@db/x",
        "postgresql://db/x?password=hunter2",
        "postgresql://db/x?sslpassword=hunter2",
        "host=db password=hunter2",
        "host=db password = 'it\\'s hunter2'",
        "hunter2",
        "host=db hunter2",
        "postgresql://[hunter2",
        "env:hunter2!",
        "file:hunter2",
        "{hunter2: x}",
        "[hunter2]",
        "*hunter2",
        "!hunter2 x",
        "&hunter2 x",
        "%hunter2",
        "'hunter2",
        "@hunter2",
    ],
)
def test_a_password_in_the_file_is_refused_and_never_printed(url):
    for text in (file_with(resource="").replace("env:ORDERS_URL", url), file_with(repository=f"url: s3://b, secret_key: {url}")):
        with pytest.raises(StackFileInvalid) as raised:
            parse_stack(text.encode(), "shop.yaml")
        told = f"{raised.value} {raised.value!r} {raised.value.mistakes!r}"
        assert "hunter2" not in told, told


@pytest.mark.parametrize(
    "line",
    [
        "pasword: hunter2",
        "password: hunter2",
        "superuser: 'postgresql://u:hunter2@h'",
        "tier: 'password=hunter2'",
        "tier: AGE-SECRET-KEY-1HUNTER2",
        "slot: {secret: hunter2}",
    ],
)
def test_a_secret_under_another_key_is_not_printed_either(line):
    told = " ".join(str(each) for each in mistakes_in(file_with(resource=f"    {line}\n    wall: 1")))
    assert "hunter2" not in told.lower()


def test_an_identity_given_as_a_recipient_is_masked():
    text = FIVE_KEYS.replace(RECIPIENT, "AGE-SECRET-KEY-1HUNTER2HUNTER2")
    assert only_mistake(text).value == "AGE-SECRET-KEY-***"
