"""The kit's own instructions, followed on a bare machine: nothing is left but the kit and a repository."""

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.app.kits import kit_of
from tests.app.test_verifying import SilentWatcher
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from understudy.adapters.age import new_identity
from understudy.adapters.clock.system import SystemClock
from understudy.app.backups import back_up
from understudy.app.initialising import FirstWish, initialise
from understudy.app.installation import Installation
from understudy.app.listing import list_backups
from understudy.app.recoveries import Choice, restore
from understudy.app.recovery_kit import parse_kit, read_kit, recovery_kit
from understudy.repository.signing import Signer, new_signing_key
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import BackupKind, ResourceName


def test_kit_and_repository_are_enough_to_get_the_database_back(desk, monkeypatch):
    repository = desk.directory / "near"
    with PostgresServer(Flavour.WHEEL_18) as server:
        monkeypatch.setenv("ORDERS_URL", server.url)
        wish = FirstWish("env:ORDERS_URL", desk.stack_file, repository=f"file://{repository}", state=desk.state)
        made = initialise(wish, SystemClock())
        server.sql("create table kept as select generate_series(1, 1000) as id")
        installation = Installation.open(made.stack_file)
        assert back_up(installation, "orders", BackupKind.FULL, SilentWatcher()).succeeded
        installation.receivers[ResourceName("orders")].stop()
    monkeypatch.delenv("ORDERS_URL")
    kit = made.kit.rename(desk.directory / "kit")
    for lost in (made.identity, made.signing_key, made.stack_file):
        lost.unlink()

    newest = max((repository / "stack").iterdir())
    opened = subprocess.run(["age", "-d", "-i", str(kit), str(newest)], capture_output=True, check=True)
    text = subprocess.run(["zstd", "-d", "-c"], input=opened.stdout, capture_output=True, check=True).stdout.decode()
    signers = re.findall(r"signer: (\S+)", kit.read_text())
    assert signers and all(signer in text for signer in signers)
    text = re.sub(r"identity: \S+", f"identity: file:{kit}", text)
    text = re.sub(r"(?m)^  signing_key:.*\n", "", text)
    desk.stack_file.write_text(text)

    bare = Installation.open(desk.stack_file, desk.directory / "bare-state")
    assert len(list_backups(bare, None).usable) == 1
    watcher = SilentWatcher()
    view = restore(bare, "orders", desk.directory / "data", Choice(), watcher)
    bare.records.close()
    assert view.succeeded
    assert (desk.directory / "data" / "PG_VERSION").read_text() == "18\n"


IDENTITY, RECIPIENT = new_identity()
SIGNERS = [Signer(new_signing_key()).public_key for _ in range(2)]
KIT = kit_of(
    IDENTITY,
    RECIPIENT,
    *SIGNERS,
    repositories=(("near", "file:///mnt/near"), ("far", "s3://shop/far")),
    credentials=(
        ("env:ORDERS_URL", "connection string of orders, a role with REPLICATION"),
        ("env:S3_KEY", "access_key of repository far"),
    ),
)
TEXT = recovery_kit(KIT).reveal()
FILE = Path("kit.txt")


def test_a_kit_is_read_as_it_was_written():
    assert parse_kit(TEXT, FILE) == KIT


def test_a_signer_that_a_person_added_to_the_kit_counts():
    added = Signer(new_signing_key()).public_key
    assert parse_kit(f"{TEXT}#   signer: {added}\n", FILE).signers == (*SIGNERS, added)


@example(TEXT.index("resource orders") + len("resource"))
@given(st.integers(0, len(TEXT)))
def test_a_kit_that_is_cut_off_is_refused_or_believes_nobody_else(length):
    try:
        kit = parse_kit(TEXT[:length], FILE)
    except Refusal as refused:
        assert refused.code == "kit_malformed"
        assert IDENTITY.reveal()[:30] not in str(refused)
    else:
        assert kit.identity == IDENTITY and set(kit.signers) <= set(SIGNERS)
        assert "resource orders: " in TEXT[:length], "facts are missing"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda text: text.replace("# Understudy recovery kit", "# A kit"), "a first line that is not that of a kit"),
        (lambda text: text.replace(IDENTITY.reveal(), ""), "no key where the line"),
        (lambda text: text.replace(IDENTITY.reveal(), "hunter2"), "something else than the key"),
        (lambda text: text.replace(IDENTITY.reveal(), IDENTITY.reveal()[:-1]), "cut off or mistyped"),
        (lambda text: text.replace(RECIPIENT, new_identity()[1]), "not that of the recipient it names"),
        (lambda text: re.sub(r"(?m)^# +signer:.*\n", "", text), "no line with a signer"),
        (lambda text: text.replace(SIGNERS[0], "AAAA"), "a signer that is none"),
        (lambda text: text.replace("s3://shop/far", "ftp://shop"), "repository far that is none"),
        (lambda _: "", "a first line that is not that of a kit"),
        (lambda _: "AGE-SECRET-KEY-1XYZ\n", "a first line that is not that of a kit"),
    ],
)
def test_nonsense_is_refused_with_what_is_wrong_and_none_of_its_lines(change, found):
    with pytest.raises(Refusal, match="kit_malformed") as refused:
        parse_kit(change(TEXT), FILE)
    assert found in refused.value.found
    assert "hunter2" not in str(refused.value) and "AGE-SECRET-KEY-1X" not in str(refused.value)


def test_a_kit_that_is_not_there_or_no_text_is_told(tmp_path):
    with pytest.raises(Refusal, match="kit_unreadable"):
        read_kit(tmp_path / "kit")
    (tmp_path / "kit").write_bytes(b"\xff\xfe" * 10)
    with pytest.raises(Refusal, match="kit_malformed"):
        read_kit(tmp_path / "kit")
