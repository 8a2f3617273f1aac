"""``adopt`` on a machine that has nothing: what it believes, what it refuses, what it leaves. Recoveries: ``tests/cli``."""

import json
import os
import shutil

import pytest

from tests.app.left import NEAR, NOWHERE, Left, in_a_child
from tests.servers.flavours import server_owner
from tests.told import told_whole
from understudy.adapters.age import choose_sealer, new_identity
from understudy.app import adoption_state
from understudy.app.adopting import adopt, stored_stack_file
from understudy.app.initialising import FirstWish, initialise
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.repository.layout import DESCRIPTION_KEY, NEWEST_FORMAT_VERSION
from understudy.repository.sealing import store_sealed
from understudy.repository.signing import Signer, new_signing_key
from understudy.repository.stack_files import kept_stack_files
from understudy.stack.loader import load_stack
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError


@pytest.fixture
def left(desk):
    return Left(desk)


def refused(left, code, **options):
    before = left.contents()
    with pytest.raises(UnderstudyError) as error:
        adopt(left.wish(**options))
    assert told_whole(error.value) == code, str(error.value)
    assert left.contents() == before, "something was written"
    return error.value


def test_the_stored_stack_file_comes_with_new_keys_and_is_otherwise_as_it_was(left):
    left.run("tier: high      # because of the shop")
    there = left.directory.rename(left.desk.directory / "moved")
    found = adopt(left.wish(repository=str(there)))
    text = (left.bare / "understudy.yaml").read_text()
    expected = (
        left.text.replace(f"file://{left.directory}", f"file://{there}")
        .replace(f"identity: file:{left.desk.identity_file}", f"identity: file:{left.bare}/state/identity")
        .replace(f"file:{left.desk.directory}/signing-key", f"file:{left.bare}/state/signing.key")
        .replace(f"signers: [{left.signer}]", f"signers: [{left.signer}, {found.signer}]")
    )
    assert text == expected + f"state: {{directory: {left.bare}/state}}\n"
    changed = ["encryption.identity", "encryption.signing_key", "encryption.signers", "repositories.near.url", "state.directory"]
    assert [each.key for each in found.changes] == changed
    assert found.stored.signer == left.signer
    installation = Installation.open(left.bare / "understudy.yaml")
    installation.require_believed_signer()
    assert installation.keys.keys.identity.reveal() == left.kit_identity.reveal()
    assert installation.repository(NEAR).describe().repository_id == found.repository.repository_id


def test_what_it_leaves_is_closed_to_others_and_names_the_repository(left):
    left.run()
    found = adopt(left.wish())
    modes = {path.name: path.stat().st_mode & 0o777 for path in (left.bare / "state").rglob("*")}
    assert modes == {"identity": 0o600, "signing.key": 0o600, "stack-file": 0o600, "repositories": 0o700, "near": 0o600}
    assert (left.bare / "state" / "repositories" / "near").read_text().strip() == found.repository.repository_id
    assert (left.bare / "state" / "stack-file").read_text() == f"{left.bare}/understudy.yaml\n"


def test_what_is_not_set_here_is_named_with_what_it_is(left, monkeypatch):
    monkeypatch.delenv("ORDERS_URL", raising=False)
    left.run(
        "recover: {directory: /srv/orders, port: 5433, url: file:/nowhere/url}",
        edit=lambda text: text.replace(f"file:{left.desk.directory}/url", "env:ORDERS_URL"),
    )
    found = adopt(left.wish())
    told = {each.reference: (each.meaning, each.recovers, each.port) for each in found.missing}
    assert told == {
        "env:ORDERS_URL": ("connection string of orders, a role with REPLICATION", "orders", 5433),
        "file:/nowhere/url": ("connection string that leads to the recovered server of orders", None, None),
    }


def test_nothing_is_written_to_the_repository(left):
    left.run()
    before = {path: path.stat().st_mtime_ns for path in left.directory.rglob("*")}
    adopt(left.wish())
    assert {path: path.stat().st_mtime_ns for path in left.directory.rglob("*")} == before


def test_twice_is_the_same_as_once_and_another_repository_is_refused(left):
    left.run()
    first = adopt(left.wish())
    before = {path: path.read_bytes() for path in left.bare.rglob("*") if path.is_file()}
    again = adopt(left.wish())
    assert (first.already, again.already) == (False, True)
    assert {path: path.read_bytes() for path in left.bare.rglob("*") if path.is_file()} == before
    other = Left.__new__(Left)
    other.__dict__.update(left.__dict__, directory=left.desk.directory / "other")
    left.desk.state = left.desk.directory / "other-state"
    other.run(repository=f"{{url: file://{other.directory}}}")
    refused(left, "already_there", repository=str(other.directory))
    refused(left, "stack_in_use", repository=str(other.directory), output=left.bare / "second.yaml")
    (left.bare / "understudy.yaml").unlink()
    refused(left, "stack_in_use", repository=str(other.directory))


def test_a_stack_file_that_stands_there_is_not_overwritten(left):
    left.run()
    (left.bare / "understudy.yaml").write_text("stack: mine\n")
    refused(left, "already_there")


def test_the_state_directory_of_another_stack_is_not_used(left):
    left.run()
    refused(left, "stack_in_use", state=left.desk.state)


# What is believed


def test_the_kit_of_another_repository_is_refused(left):
    left.run()
    stranger = Signer(new_signing_key()).public_key
    error = refused(left, "kit_of_another", kit=left.write_kit(signer=stranger))
    assert left.signer in error.found and stranger in error.expected


def test_a_kit_whose_key_opens_nothing_here_is_refused(left):
    left.run()
    identity, recipient = new_identity()
    refused(left, "kit_opens_nothing", kit=left.write_kit(identity=identity, recipient=recipient))


def test_a_stack_file_that_somebody_put_there_is_refused_and_what_it_changes_is_told(left):
    left.run()
    mine, (_, theirs) = Signer(new_signing_key()).public_key, new_identity()
    text = left.text.replace(f"signers: [{left.signer}]", f"signers: [{left.signer}, {mine}]")
    digest = left.put_stack_file(text.replace("recipients: [", f"recipients: [{theirs}, "))
    error = refused(left, "stack_file_unsigned")
    assert mine in error.found and theirs in error.found and "not signed" in error.found
    older = kept_stack_files(left.store())[1]
    assert f"--stored {digest[:12]}" in error.hint and f"--stored {older.digest[:12]}" in error.hint
    assert theirs in stored_stack_file(left.wish())
    refused(left, "signers_differ", stored=digest)
    assert adopt(left.wish(stored=older.digest[:12])).stored.signer == left.signer


def test_an_unsigned_one_is_taken_where_a_person_names_it(left):
    """As of a version that signed none."""
    left.run()
    [kept] = kept_stack_files(left.store())
    left.store().delete(kept.note_key)
    refused(left, "stack_file_unsigned")
    assert adopt(left.wish(stored=kept.digest[:8])).stored.signer is None


def test_a_stack_file_of_another_text_than_its_name_says_is_refused(left):
    left.run()
    [kept] = kept_stack_files(left.store())
    left.store().delete(kept.key)
    store_sealed(left.store(), choose_sealer(), kept.key, [b"stack: other\n"], (left.kit_recipient,))
    refused(left, "stack_file_altered")


def test_signers_that_the_kit_does_not_name_are_refused_until_a_person_names_them(left):
    """As after a new key was added to the stack file, and not to the kit."""
    added = Signer(new_signing_key()).public_key
    left.run(encryption=left.encryption(left.signer, added))
    error = refused(left, "signers_differ")
    assert f"--signer {added}" in error.hint
    found = adopt(left.wish(signers=(added,)))
    assert load_stack(left.bare / "understudy.yaml").stack.encryption.signers == (left.signer, added, found.signer)


def test_a_repository_that_somebody_else_took_over_is_refused_until_a_person_names_their_key(left):
    left.run()
    [first] = kept_stack_files(left.store())
    key = new_signing_key()
    other = Signer(key).public_key
    left.desk.secret_file("other-key", key.reveal())
    lines = [line.replace("/signing-key", "/other-key") for line in left.encryption(left.signer, other)]
    left.desk.write(NOWHERE, encryption=lines)
    taking_over = Installation.open(left.desk.stack_file, left.desk.directory / "state-elsewhere")
    prepare_repository(taking_over, NEAR, take_over=True)
    error = refused(left, "controller_untrusted", stored=first.digest)
    assert other in error.found
    found = adopt(left.wish(signers=(other,), stored=first.digest))
    assert found.repository.controller == taking_over.records.controller_id()


def test_without_signers_in_the_stack_file_those_of_the_kit_are_written_into_it(left):
    left.run(encryption=left.encryption()[:3])
    found = adopt(left.wish())
    assert load_stack(left.bare / "understudy.yaml").stack.encryption.signers == (left.signer, found.signer)


# What is there, or not


def test_a_directory_that_is_no_repository_is_told(left):
    left.run()
    refused(left, "store_unreachable", repository="/nowhere")
    shutil.rmtree(left.directory / ".incoming")
    assert "mkdir" in refused(left, "repository_incomplete").hint
    (left.directory / ".incoming").mkdir()
    (left.directory / DESCRIPTION_KEY).unlink()
    refused(left, "repository_missing")


def test_a_repository_of_a_newer_format_is_refused(left):
    left.run()
    document = json.loads((left.directory / DESCRIPTION_KEY).read_text())["signed"]
    (left.directory / DESCRIPTION_KEY).write_bytes(left.sign(document | {"format_version": NEWEST_FORMAT_VERSION + 1}))
    refused(left, "format_newer")


def test_a_repository_without_any_stack_file_is_told(left):
    left.run()
    shutil.rmtree(left.directory / "stack")
    refused(left, "stack_file_not_kept")


def test_of_several_repositories_a_copy_at_another_address_is_known_by_its_note_or_named(left):
    near, far = (f"{{url: file://{left.desk.directory}/{name}}}" for name in ("repository", "far"))
    left.run(repository=f"{near}\n  far: {far}")
    copy = shutil.copytree(left.directory, left.desk.directory / "copy")
    refused(left, "no_such_repository", repository=str(copy), name="elsewhere")
    refused(left, "repository_misnamed", name="far")
    [kept] = kept_stack_files(left.store())
    (copy / kept.note_key).unlink()
    unnamed = refused(left, "repository_unnamed", repository=str(copy), stored=kept.digest)
    assert "--as near or --as far" in unnamed.hint
    assert adopt(left.wish(repository=str(copy), stored=kept.digest, name="far")).other_repositories.keys() == {"near"}
    shutil.rmtree(left.bare)
    left.bare.mkdir()
    shutil.copy(left.directory / kept.note_key, copy / kept.note_key)
    assert adopt(left.wish(repository=str(copy))).repository.name == "near"


def test_a_place_that_cannot_be_written_is_told_before_anything_is(left):
    left.run()
    left.desk.secret_file("file", "")
    refused(left, "state_unwritable", state=left.desk.directory / "file" / "state")
    refused(left, "place_denied", output=left.bare / "nowhere" / "understudy.yaml")


def test_a_directory_of_another_user_is_told(left):
    owner = server_owner()
    if owner is None:
        pytest.skip("another user's directory needs root to make one")
    closed = left.desk.directory / "closed"
    closed.mkdir(mode=0o755)
    os.chown(left.bare, owner[1], owner[2])
    states = {"state": adoption_state.AdoptedState(closed / "state", left.bare / "understudy.yaml")}
    states["stack file"] = adoption_state.AdoptedState(left.bare / "state", closed / "understudy.yaml")

    def as_owner():
        os.setgroups([])
        os.setgid(owner[2])
        os.setuid(owner[1])
        for name, state in states.items():
            with pytest.raises(GiveUp) as refused:
                state.require_free("0123456789abcdef")
            (left.bare / name).write_text(told_whole(refused.value))

    in_a_child(as_owner)
    assert {path.name: path.read_text() for path in left.bare.iterdir()} == {
        "state": "state_unwritable",
        "stack file": "place_denied",
    }


@pytest.mark.parametrize(
    "options",
    [
        {"repository": "ftp://there"},
        {"endpoint": "https://s3.example.com"},
        {"signers": ("none",)},
        {"stored": "abc"},
        {"repository": "s3://shop/prod", "access_key_reference": "hunter2"},
        {"repository": "s3://shop/prod", "access_key_reference": "env:KEY"},
    ],
)
def test_an_option_that_is_none_is_told_and_no_secret_repeated(left, options):
    left.run()
    assert "hunter2" not in str(refused(left, "option_malformed", **options))


def test_two_at_once_do_not_mix(left):
    left.run()
    state = adoption_state.AdoptedState(left.bare / "state", left.bare / "understudy.yaml")
    there = (NEAR, "0123456789abcdef")
    with state.begun(*there), pytest.raises(Refusal, match="busy"), state.begun(*there):
        pass


def test_init_does_not_use_a_state_directory_that_was_adopted(left):
    left.run()
    adopt(left.wish())
    wish = FirstWish("host=127.0.0.1 port=1", left.bare / "new.yaml", state=left.bare / "state", repository="file:///nowhere/new")
    with pytest.raises(Refusal, match="stack_in_use"):
        initialise(wish, None)
