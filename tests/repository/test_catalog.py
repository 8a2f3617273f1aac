"""The catalog is what signed manifests say; nothing unsigned is believed, nothing unusable is hidden."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.repository.sample_backups import sample_backup
from tests.repository.sample_keys import fresh_keys
from tests.supervise.owned_clock import OwnedClock
from understudy.adapters.age import choose_sealer
from understudy.adapters.files import FileStore
from understudy.repository.catalog import BackupListing, Repository
from understudy.repository.epochs import LOOK_AGAIN_SECONDS
from understudy.repository.layout import backup_prefix
from understudy.repository.manifests import sums_digest, sums_text
from understudy.repository.removal import Remover
from understudy.repository.sealing import store_sealed
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import BackupLabel, ResourceName, SystemIdentifier

KEYS = fresh_keys()
NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
FULL, FIRST, SECOND = (
    "20261123-030000F",
    "20261123-030000F_20261124-030000I",
    "20261123-030000F_20261125-030000I",
)
ORDERS, SYSTEM = sample_backup().resource, sample_backup().system_identifier


@pytest.fixture
def store(tmp_path):
    return FileStore.create(tmp_path / "store")


def repository_of(store, keys=KEYS):
    return Repository(store, choose_sealer(), keys)


@pytest.fixture
def repository(store):
    return repository_of(store)


def stored_backup(store, label=FULL, parent=None, **changes):
    """The sample with its parts really stored, manifest not yet written."""
    sample = sample_backup(label, parent, **changes)
    prefix = backup_prefix(sample.resource, sample.system_identifier, sample.label)
    entries = []
    for entry in sample.entries:
        sealed = store_sealed(store, choose_sealer(), prefix + entry.name, [entry.name.encode()], KEYS.recipients)
        entries.append(replace(entry, sealed_bytes=sealed.sealed_bytes, sealed_sha256=sealed.sealed_sha256))
    return replace(sample, parts=tuple(entries[:-1]), backup_manifest=entries[-1], sums_sha256=sums_digest(entries))


def code_of(call, kind=GiveUp):
    with pytest.raises(kind) as refused:
        call()
    assert refused.value.hint
    return refused.value.code


def test_creating_twice_is_creating_once(repository, store):
    made = repository.create("id-1", NOW)
    before = {each.key: b"".join(store.read(each.key)) for each in store.list()}
    assert repository.create("id-1", NOW.replace(hour=9)) == made == repository.describe()
    assert {each.key: b"".join(store.read(each.key)) for each in store.list()} == before
    assert sorted(before) == ["RECOVERY.md", "repository.json"]
    assert made.recipients == KEYS.recipients


def test_a_store_of_another_repository_is_refused(repository):
    repository.create("id-1", NOW)
    assert code_of(lambda: repository.create("id-2", NOW), Refusal) == "repository_of_another"


def test_a_store_without_a_repository_says_so(repository):
    assert code_of(repository.describe) == "repository_missing"


def test_a_repository_that_a_stranger_described_is_not_opened(store, repository):
    repository.create("id-1", NOW)
    assert code_of(repository_of(store, fresh_keys()).describe) == "signature_untrusted"


def test_a_backup_is_listed_once_its_manifest_is_written(store, repository):
    backup = stored_backup(store)
    assert repository.backups(ORDERS).usable == ()
    assert repository.backups(ORDERS).unfinished == ((SYSTEM, BackupLabel(FULL)),)
    repository.write_backup_manifest(backup)
    assert repository.backups(ORDERS).usable == (backup,)
    assert repository.backups(ORDERS).unfinished == ()
    assert repository.backups(ORDERS, SYSTEM).usable == (backup,)
    assert repository.backups(ORDERS, SystemIdentifier("1")).usable == ()
    assert repository.backups(ResourceName("others")).usable == ()
    assert repository.backup(ORDERS, SYSTEM, BackupLabel(FULL)) == backup
    sums = b"".join(store.read(backup_prefix(ORDERS, SYSTEM, BackupLabel(FULL)) + "SHA256SUMS"))
    assert sums == sums_text(backup.entries)


def test_writing_the_manifest_twice_is_writing_it_once(store, repository):
    backup = stored_backup(store)
    assert repository.write_backup_manifest(backup) == repository.write_backup_manifest(backup)
    other = replace(backup, stack_digest="1" * 64)
    assert code_of(lambda: repository.write_backup_manifest(other)) == "backup_exists"


def test_a_manifest_is_not_written_over_an_absent_or_short_part(store, repository, tmp_path):
    backup = stored_backup(store)
    path = tmp_path / "store" / backup_prefix(ORDERS, SYSTEM, backup.label) / backup.parts[0].name
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert code_of(lambda: repository.write_backup_manifest(backup)) == "part_corrupt"
    path.unlink()
    assert code_of(lambda: repository.write_backup_manifest(backup)) == "part_corrupt"
    assert repository.backups(ORDERS).usable == ()


def test_a_copy_that_a_person_made_of_a_folder_hides_no_backup_and_is_no_obstacle(store, repository, tmp_path):
    backup = stored_backup(store)
    repository.write_backup_manifest(backup)
    folder = tmp_path / "store" / backup_prefix(ORDERS, SYSTEM, backup.label)
    shutil.copytree(folder, folder.with_name(f"{FULL} (copy)"))
    (folder / "notes (old).txt").touch()
    assert repository.backups(ORDERS) == BackupListing((backup,), ())
    assert Remover(store).remove_backup(backup_prefix(ORDERS, SYSTEM, backup.label))
    assert repository.backups(ORDERS) == BackupListing((), ())


def test_an_unusable_backup_is_reported_and_hides_no_other(store, repository, tmp_path):
    for label, parent in ((FULL, None), (FIRST, FULL), (SECOND, FIRST)):
        repository.write_backup_manifest(stored_backup(store, label, parent))
    manifest = tmp_path / "store" / backup_prefix(ORDERS, SYSTEM, BackupLabel(FIRST)) / "backup.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"0.1.0", b"0.1.1"))
    listing = repository.backups(ORDERS)
    assert [str(each.label) for each in listing.usable] == [FULL, SECOND]
    assert [each.error.code for each in listing.unusable] == ["signature_wrong"]
    assert listing.unusable[0].key.endswith(f"{FIRST}/backup.json")
    assert code_of(lambda: repository.chain(ORDERS, SYSTEM, BackupLabel(SECOND))) == "chain_broken"


def test_a_backup_signed_by_a_stranger_is_unusable(store, repository):
    repository_of(store, fresh_keys()).write_backup_manifest(stored_backup(store))
    listing = repository.backups(ORDERS)
    assert (listing.usable, [each.error.code for each in listing.unusable]) == ((), ["signature_untrusted"])


def test_a_manifest_moved_to_another_label_is_refused(store, repository):
    repository.write_backup_manifest(stored_backup(store))
    prefix = backup_prefix(ORDERS, SYSTEM, BackupLabel(FULL))
    other = backup_prefix(ORDERS, SYSTEM, BackupLabel("20270101-000000F"))
    store.put(other + "backup.json", store.read(prefix + "backup.json"))
    assert [each.error.code for each in repository.backups(ORDERS).unusable] == ["document_malformed"]


def test_a_chain_is_full_first(store, repository):
    for label, parent in ((FULL, None), (FIRST, FULL), (SECOND, FIRST)):
        repository.write_backup_manifest(stored_backup(store, label, parent))
    chain = repository.chain(ORDERS, SYSTEM, BackupLabel(SECOND))
    assert [str(each.label) for each in chain] == [FULL, FIRST, SECOND]
    assert len(repository.chain(ORDERS, SYSTEM, BackupLabel(FULL))) == 1
    assert code_of(lambda: repository.chain(ORDERS, SYSTEM, BackupLabel("20270101-000000F"))) == "backup_missing"


def test_clusters_of_a_resource_are_found_by_listing(store, repository):
    for system in ("7400000000000000001", "7400000000000000002"):
        backup = stored_backup(store, system_identifier=SystemIdentifier(system))
        repository.write_backup_manifest(backup)
    assert repository.clusters(ORDERS) == ("7400000000000000001", "7400000000000000002")
    assert len(repository.backups(ORDERS).usable) == 2


def test_the_server_s_manifest_is_read_with_its_digest(store, repository):
    backup = stored_backup(store)
    repository.write_backup_manifest(backup)
    assert b"".join(repository.read_server_manifest(backup)) == b"backup_manifest.zst.age"
    damaged = replace(backup.backup_manifest, sealed_sha256="00" * 32)
    wrong = replace(backup, backup_manifest=damaged, sums_sha256=sums_digest((*backup.parts, damaged)))
    assert code_of(lambda: list(repository.read_server_manifest(wrong))) == "part_corrupt"
    blind = repository_of(store, replace(KEYS, identity=None))
    assert code_of(lambda: blind.sealed(backup)) == "identity_missing"


def test_the_controller_with_the_highest_epoch_holds_the_repository(repository):
    assert repository.current_epoch() is None
    assert code_of(lambda: repository.require_epoch("first"), Refusal) == "controller_superseded"
    first = repository.claim_epoch("first", NOW)
    assert first.number == 1
    assert repository.claim_epoch("first", NOW.replace(hour=9)) == first == repository.require_epoch("first")
    second = repository.claim_epoch("second", NOW)
    assert (second.number, repository.current_epoch()) == (2, second)
    assert code_of(lambda: repository.require_epoch("first"), Refusal) == "controller_superseded"


def test_a_claim_is_looked_at_again_once_in_every_few_seconds_of_writing(store, repository):
    clock = OwnedClock()
    repository.claim_epoch("first", NOW)
    claim = repository.own_claim("first", clock)
    claim.require()
    repository.claim_epoch("second", NOW)
    claim.require()
    clock.pass_by(timedelta(seconds=LOOK_AGAIN_SECONDS))
    assert code_of(claim.require, Refusal) == "controller_superseded"
    assert code_of(claim.require, Refusal) == "controller_superseded", "and it stays refused"
    repository.claim_epoch("first", NOW)
    claim.require()


def test_a_claim_that_a_stranger_signed_is_not_passed_over(store, repository):
    repository.claim_epoch("first", NOW)
    strangers = fresh_keys()
    both = replace(strangers, trusted_signers=strangers.trusted_signers | KEYS.trusted_signers)
    repository_of(store, both).claim_epoch("stranger", NOW)
    assert code_of(lambda: repository.require_epoch("first")) == "signature_untrusted"


def test_of_two_claims_at_one_moment_one_gives_way(store, repository):
    class Raced:
        def put(self, key, chunks):
            repository.claim_epoch("faster", NOW)
            return store.put(key, chunks)

        def __getattr__(self, name):
            return getattr(store, name)

    assert code_of(lambda: repository_of(Raced()).claim_epoch("slower", NOW)) == "epoch_taken"
