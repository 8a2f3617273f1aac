import pytest

from understudy.stack.expectation import Unfit
from understudy.stack.secrets import (
    PlainText,
    SecretPlace,
    SecretReference,
    parse_reference,
    resolve,
    resolve_text,
)
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret


def test_a_reference_reads_the_environment_when_it_is_resolved_and_not_before():
    environment: dict[str, str] = {}
    reference = parse_reference("env:S3_KEY")
    environment["S3_KEY"] = "k3y"
    assert resolve(reference, environment) == Secret("k3y")


def test_the_process_environment_is_the_default(monkeypatch):
    monkeypatch.setenv("UNDERSTUDY_TEST_SECRET", "k3y")
    assert resolve(parse_reference("env:UNDERSTUDY_TEST_SECRET")) == Secret("k3y")


@pytest.mark.parametrize("environment", [{}, {"S3_KEY": ""}])
def test_a_variable_that_is_not_set_says_what_to_set(environment):
    with pytest.raises(GiveUp) as raised:
        resolve(parse_reference("env:S3_KEY"), environment)
    assert raised.value.code == "secret_missing"
    assert "export S3_KEY=" in raised.value.hint


@pytest.mark.parametrize(
    ("content", "value"), [(b"k3y\n", "k3y"), (b"k3y\r\n", "k3y"), (b"k3y", "k3y"), (b" k3y \n\n", " k3y \n")]
)
def test_only_the_last_line_break_of_a_file_is_left_out(tmp_path, content, value):
    file = tmp_path / "secret"
    file.write_bytes(content)
    assert resolve(parse_reference(f"file:{file}")) == Secret(value)


@pytest.mark.parametrize("content", [None, b"", b"\n"])
def test_a_file_that_is_missing_or_empty_says_which(tmp_path, content):
    file = tmp_path / "secret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(GiveUp) as raised:
        resolve(parse_reference(f"file:{file}"))
    assert raised.value.code == "secret_missing"
    assert str(file) in raised.value.found


@pytest.mark.parametrize("content", [b"p4ss\xff", b"x" * 70_000])
def test_a_file_that_is_no_secret_is_refused_without_being_repeated(tmp_path, content):
    file = tmp_path / "secret"
    file.write_bytes(content)
    with pytest.raises(GiveUp) as raised:
        resolve(parse_reference(f"file:{file}"))
    assert raised.value.code == "secret_unreadable"
    assert "p4ss" not in f"{raised.value!r} {raised.value.__cause__!r}"


def test_a_directory_is_no_secret(tmp_path):
    with pytest.raises(GiveUp, match="secret_unreadable"):
        resolve(parse_reference(f"file:{tmp_path}"))


@pytest.mark.parametrize(
    "text", ["hunter2", "env:", "env:1A", "env:A B", "file:relative", "file:", "ENV:A", "vault:a", "", "env:A\n"]
)
def test_what_is_no_reference_is_refused_without_being_repeated(text):
    with pytest.raises(Unfit) as raised:
        parse_reference(text)
    assert "hunter2" not in str(raised.value)


def test_a_reference_prints_as_it_is_written():
    assert str(SecretReference(SecretPlace.FILE, "/run/secrets/s3")) == "file:/run/secrets/s3"
    assert parse_reference("env:S3_KEY") == SecretReference(SecretPlace.ENVIRONMENT, "S3_KEY")


def test_text_that_stands_in_the_file_is_handed_on_as_it_is():
    assert resolve_text(PlainText("postgresql://db/x")) == Secret("postgresql://db/x")
    assert resolve_text(parse_reference("env:U"), {"U": "v"}) == Secret("v")
