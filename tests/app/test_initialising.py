"""``init`` on real servers: its file loads, passes ``check``, and its kit opens what is sealed."""

import codecs
import os
import subprocess

import pytest

from tests.servers.flavours import Flavour, server_owner
from tests.servers.postgres import PostgresServer
from understudy.adapters.age import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files.file_store import FileStore
from understudy.app.initialising import FirstWish, initialise
from understudy.app.preflight import check
from understudy.judge.preflight import Grade
from understudy.stack.loader import load_stack
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.secret import Secret


@pytest.fixture(scope="module")
def server():
    with PostgresServer(Flavour.WHEEL_18, settings={"max_slot_wal_keep_size": "1GB"}) as made:
        made.sql(f"create tablespace fast location '{made.new_directory('fast')}'")
        yield made


@pytest.fixture
def wish(desk, server, monkeypatch):
    def make(url="env:SHOP_ORDERS_URL", **options):
        monkeypatch.setenv("SHOP_ORDERS_URL", server.replication_url)
        named = {"repository": f"file://{desk.directory}/repository", "state": desk.state, "output": desk.stack_file}
        return FirstWish(url, **named | options)

    return make


def test_the_file_that_init_writes_passes_check(desk, server, wish):
    made = initialise(wish(), SystemClock())
    assert made.resource == "shop_orders"
    found = check(made.stack_file, None)
    assert [finding for finding in found.findings if finding.grade is not Grade.OK] == []
    orders = load_stack(made.stack_file).stack.resources["shop_orders"]
    assert orders.recover is not None
    assert orders.recover.directory == f"{server.data}-recovered"
    assert orders.recover.port == server.port
    assert list(orders.recover.tablespaces) == ["fast"]
    assert orders.backup.incremental is not None


def test_secrets_are_readable_by_their_owner_only_and_stand_in_no_other_file(wish):
    made = initialise(wish(), SystemClock())
    assert [path.stat().st_mode & 0o777 for path in (made.identity, made.signing_key, made.kit)] == [0o600] * 3
    text = made.stack_file.read_text()
    assert "AGE-SECRET-KEY" not in text
    assert made.signing_key.read_text().strip() not in text + made.kit.read_text()
    assert made.identity.read_text().strip() not in made.kit.read_text()


def test_the_kit_alone_opens_what_is_sealed_to_the_recipients(wish):
    made = initialise(wish(), SystemClock())
    encryption = load_stack(made.stack_file).stack.encryption
    sealer = choose_sealer()
    sealed = b"".join(sealer.seal([b"the orders"], encryption.recipients))
    for identity in (made.kit, made.identity):
        assert b"".join(sealer.open([sealed], Secret(identity.read_text()))) == b"the orders"
    opened = subprocess.run(["age", "-d", "-i", str(made.kit)], input=sealed, capture_output=True, check=True)
    assert opened.stdout == b"the orders"


def test_the_kit_names_signers_places_and_what_it_does_not_hold(server, wish):
    made = initialise(wish(stack="shop"), SystemClock())
    encryption = load_stack(made.stack_file).stack.encryption
    kit = made.kit.read_text()
    assert f"signer: {encryption.signers[0]}" in kit
    assert "repository near: file:///" in kit
    assert "credential env:SHOP_ORDERS_URL" in kit
    assert f"system identifier {made.found.system_identifier}" in kit
    assert "s3cret" not in kit and server.replication_url not in kit


def test_nothing_is_ever_overwritten(desk, wish):
    desk.secret_file("main.identity", "somebody's key")
    desk.stack_file.write_text("stack: shop\n")
    before = {path.name: path.read_bytes() for path in desk.directory.iterdir()}
    with pytest.raises(Refusal, match="already_there") as refused:
        initialise(wish(), SystemClock())
    assert "main.identity" in refused.value.found and "understudy.yaml" in refused.value.found
    assert {path.name: path.read_bytes() for path in desk.directory.iterdir()} == before


def test_a_directory_that_is_not_there_leaves_no_key_behind(desk, wish):
    before = desk.contents()
    with pytest.raises(GiveUp, match="place_denied"):
        initialise(wish(kit=desk.directory / "nowhere" / "kit.txt"), SystemClock())
    assert desk.contents() == before


@pytest.mark.parametrize(
    "option",
    [
        {"url": "postgresql://me:hunter2@db/x"},
        {"resource": "Not A Name"},
        {"stack": "-"},
        {"repository": "ftp://there"},
        {"endpoint": "there"},
        {"secret_key_reference": "hunter2"},
    ],
)
def test_a_malformed_option_is_named_and_its_value_is_not(wish, option):
    with pytest.raises(Refusal, match="option_malformed") as refused:
        initialise(wish(**option), SystemClock())
    assert f"--{next(iter(option)).removesuffix('_reference').replace('_', '-')}" in refused.value.found
    assert "hunter2" not in str(refused.value)


def test_a_bucket_and_its_references_come_into_the_file(wish):
    keys = {"access_key_reference": "env:S3_KEY", "secret_key_reference": "env:S3_SECRET"}
    bucket = {"repository": "s3://shop-recovery/prod", "endpoint": "https://s3.example.com"}
    made = initialise(wish(**bucket, **keys), SystemClock())
    near = load_stack(made.stack_file).stack.repositories["near"]
    assert (near.url, str(near.endpoint), str(near.access_key)) == (
        "s3://shop-recovery/prod",
        "https://s3.example.com",
        "env:S3_KEY",
    )
    assert "credential env:S3_SECRET: secret_key of repository near" in made.kit.read_text()


@pytest.mark.debian
def test_a_server_that_is_not_ready_for_replication_can_be_looked_at_and_check_says_what_to_change(desk, monkeypatch):
    with PostgresServer(Flavour.DEBIAN_15, settings={"wal_level": "minimal", "max_wal_senders": "0"}) as server:
        monkeypatch.setenv("ORDERS_URL", server.replication_url)
        here = {"repository": f"file://{desk.directory}/repository", "state": desk.state}
        made = initialise(FirstWish("env:ORDERS_URL", desk.stack_file, **here), SystemClock())
        assert made.resource == "orders"
        failures = {each.aspect: each.change for each in check(made.stack_file, None).findings if each.grade is Grade.FAILURE}
    assert failures["wal_level"].startswith("ALTER SYSTEM SET wal_level = replica")
    assert set(failures) == {"wal_level", "max_wal_senders"}


def test_a_second_stack_of_the_same_name_is_refused_before_anything_ran(desk, wish):
    initialise(wish(), SystemClock())
    before = desk.contents()
    second = desk.directory / "second"
    second.mkdir()
    with pytest.raises(Refusal, match="stack_in_use") as refused:
        initialise(wish(output=second / "understudy.yaml"), SystemClock())
    assert str(desk.stack_file) in refused.value.found
    assert "--stack" in refused.value.hint
    assert desk.contents() == sorted([*before, "second"])
    assert list(second.iterdir()) == []
    made = initialise(wish(output=second / "understudy.yaml", state=desk.directory / "other"), SystemClock())
    assert load_stack(made.stack_file).stack.state.directory == str(desk.directory / "other")


def test_a_repository_that_another_stack_keeps_is_refused(desk, wish):
    FileStore.create(desk.directory / "repository")
    with pytest.raises(Refusal, match="stack_in_use") as refused:
        initialise(wish(), SystemClock())
    assert f"the repository {desk.directory}/repository" in refused.value.found
    assert not desk.state.exists()


def test_places_of_one_name_are_beside_each_other(desk, wish):
    made = initialise(wish(repository=None, state=desk.directory / "shop"), SystemClock())
    assert load_stack(made.stack_file).stack.repositories["near"].url == f"file://{desk.directory}/shop-repository"


def test_a_state_directory_that_init_made_goes_when_init_fails(desk, wish):
    before = desk.contents()
    with pytest.raises(GiveUp, match="place_denied"):
        initialise(wish(kit=desk.directory / "nowhere" / "kit.txt", state=desk.directory / "a" / "b" / "c"), SystemClock())
    assert desk.contents() == before


def test_keys_in_a_directory_of_another_user_are_refused_in_words(desk, wish):
    owner = server_owner()
    if owner is None:
        pytest.skip("another user's directory needs root to make one")
    room, closed = desk.directory / "room", desk.directory / "closed"
    room.mkdir()
    os.chown(room, owner[1], owner[2])
    closed.mkdir(mode=0o700)
    wanted = wish(output=room / "stack.yaml", state=room / "state", keys=closed, repository=f"file://{room}/repository")
    codecs.lookup("utf-8-sig")  # what is imported late lies where the other user may not read
    child = os.fork()
    if child == 0:
        code = "none"
        try:
            os.setgroups([])
            os.setgid(owner[2])
            os.setuid(owner[1])
            initialise(wanted, SystemClock())
        except UnderstudyError as error:
            code = error.code
        finally:
            (room / "code").write_text(code)
            os._exit(0)
    os.waitpid(child, 0)
    assert (room / "code").read_text() == "place_denied"
    assert sorted(path.name for path in room.iterdir()) == ["code"]


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [("stack", "My Shop", "a name"), ("repository", "s3://b/p", "3 to 63"), ("repository", "ftp://there", "s3://bucket")],
)
def test_a_malformed_option_shows_its_value_and_the_reason(wish, option, value, expected):
    with pytest.raises(Refusal, match="option_malformed") as refused:
        initialise(wish(**{option: value}), SystemClock())
    assert repr(value) in refused.value.found
    assert expected in refused.value.expected
