"""Each finding about this host, its keys and the repositories, with the real thing in that state."""

import dataclasses
import os
import shutil
import subprocess
import sys
from datetime import timedelta

import pytest

from tests.app.desk import Desk
from tests.servers.flavours import run_as_owner, server_owner
from tests.servers.postgres import PostgresServer
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from understudy.adapters.clock.system import SystemClock
from understudy.app.installation import Installation
from understudy.app.preflight_server import check_resource
from understudy.app.repositories import prepare_repository
from understudy.judge.preflight import Grade
from understudy.judge.preflight_host import DirectoryFacts, judge_directory, restore_need, spool_need, state_need
from understudy.repository.signing import Signer, new_signing_key
from understudy.stack.loader import load_stack
from understudy.vocabulary.identifiers import RepositoryName, ResourceName

GIBIBYTE = 2**30


@pytest.fixture(scope="module")
def server():
    with PostgresServer(settings={"max_slot_wal_keep_size": "1GB"}) as made:
        yield made


def keys(desk, *lines, identity=True):
    named = [f"identity: file:{desk.identity_file}"] if identity else []
    return (f"recipients: [{desk.recipient}]", *named, *lines)


def made(desk):
    """The repository, made as the first backup makes it."""
    installation = Installation.open(desk.stack_file, desk.state)
    prepare_repository(installation, RepositoryName("near"))
    installation.records.close()
    return desk.directory / "repository"


# Keys


def test_an_identity_that_opens_nothing_of_what_is_sealed_is_a_failure(server, desk):
    other = Desk()
    try:
        desk.write(server, encryption=(f"recipients: [{other.recipient}]", f"identity: file:{desk.identity_file}"))
        finding = desk.finding("identity")
    finally:
        other.close()
    assert finding.grade is Grade.FAILURE
    assert "wrong_key" in finding.found


@pytest.mark.parametrize("content", ["", "AGE-SECRET-KEY-1NONSENSE"])
def test_an_identity_that_cannot_be_used_is_a_failure_and_not_shown(server, desk, content):
    desk.identity_file.write_text(content)
    desk.write(server)
    finding = desk.finding("identity")
    assert finding.grade is Grade.FAILURE
    assert "NONSENSE" not in repr(finding)


def test_a_host_without_an_identity_can_back_up_only_and_says_so(server, desk):
    desk.write(server, encryption=keys(desk, identity=False))
    found = desk.check()
    assert found["identity"][0].grade is Grade.WARNING
    assert "drill_directory" not in found


def test_a_signing_key_must_be_among_the_signers(server, desk):
    key = new_signing_key()
    path = desk.secret_file("signing", key.reveal())
    own, other = Signer(key).public_key, Signer(new_signing_key()).public_key
    for signers, grade in ((f"['{own}']", Grade.OK), (f"['{other}']", Grade.FAILURE)):
        desk.write(server, encryption=keys(desk, f"signing_key: file:{path}", f"signers: {signers}"))
        finding = desk.finding("signing_key")
        assert finding.grade is grade
    assert finding.change.endswith(f"encryption.signers: - {own}")
    desk.write(server, encryption=keys(desk, f"signing_key: file:{path}"))
    assert desk.finding("signing_key").grade is Grade.WARNING


def test_a_signing_key_that_is_none_is_a_failure(server, desk):
    path = desk.secret_file("signing", "nonsense")
    desk.write(server, encryption=keys(desk, f"signing_key: file:{path}"))
    assert "signing_key_malformed" in desk.finding("signing_key").found


@pytest.mark.parametrize(("mode", "grade"), [(0o600, Grade.OK), (0o640, Grade.WARNING), (0o604, Grade.FAILURE)])
def test_secrets_that_others_can_read_are_told_with_the_command(server, desk, mode, grade):
    desk.identity_file.chmod(mode)
    desk.write(server)
    finding = desk.finding("secret_file")
    assert finding.grade is grade
    assert finding.change == ("" if grade is Grade.OK else f"chmod 600 {desk.identity_file}")


# Directories


def facts(free_bytes, writable=True):
    return DirectoryFacts("/srv/x", False, "/srv", writable, free_bytes)


@pytest.mark.parametrize(
    ("need", "free_bytes", "grade"),
    [
        (spool_need("orders", 8 * GIBIBYTE), 9 * GIBIBYTE, Grade.OK),
        (spool_need("orders", 8 * GIBIBYTE), GIBIBYTE, Grade.WARNING),
        (spool_need("orders", 8 * GIBIBYTE), 2**20, Grade.FAILURE),
        (state_need(), 2**20, Grade.FAILURE),
        (restore_need("resources.orders.recover.directory", 10 * GIBIBYTE), 11 * GIBIBYTE, Grade.WARNING),
        (restore_need("resources.orders.recover.directory", 10 * GIBIBYTE), 9 * GIBIBYTE, Grade.FAILURE),
    ],
)
def test_room_is_judged_by_what_is_wanted_and_by_what_nothing_works_without(need, free_bytes, grade):
    finding = judge_directory("this host", "state_directory", facts(free_bytes), need)
    assert finding.grade is grade
    assert grade is Grade.OK or need.key in finding.change


def test_a_spool_limit_beyond_the_disk_is_a_warning(server, desk):
    disk = shutil.disk_usage(desk.directory).total // 2**30
    desk.write(server, f"wal: {{spool_limit: {disk + 1}GiB}}")
    assert desk.finding("spool").grade is Grade.WARNING


def test_a_directory_that_cannot_be_made_is_a_failure(server, desk):
    desk.state = desk.identity_file / "state"
    desk.write(server)
    found = desk.check()
    for aspect in ("state_directory", "spool", "drill_directory"):
        assert Grade.FAILURE in [finding.grade for finding in found[aspect]]


def test_a_recovery_into_a_parent_that_is_not_there_is_a_failure(server, desk):
    desk.write(server, f"recover: {{directory: {desk.directory}/not/mounted, programs: {server.programs}}}")
    finding = desk.finding("recover_directory")
    assert finding.grade is Grade.FAILURE
    assert finding.change.startswith(f"mkdir -p {desk.directory}/not")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs servers as another user")
def test_a_directory_that_the_servers_user_cannot_enter_is_a_failure(server, desk):
    closed = desk.directory / "closed"
    closed.mkdir(mode=0o700)
    desk.write(server, f"recover: {{directory: {closed}/data, programs: {server.programs}}}")
    finding = desk.finding("recover_directory")
    assert finding.grade is Grade.FAILURE
    assert finding.change == f"setfacl -m u:{server_owner()[0]}:x {closed}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_is_told_so_instead_of_crashing(server, desk):
    desk.write(server)
    made(desk)
    desk.state.chmod(0o700)
    desk.stack_file.write_text(f"{desk.stack_file.read_text()}state: {{directory: {desk.state}}}\n")
    command = [sys.executable, "-m", "understudy.cli.main", "check", "-f", str(desk.stack_file)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, cwd="/", **run_as_owner())
    except PermissionError:
        pytest.skip("the servers' user cannot run this Python")
    if "No module named" in done.stderr or "Permission denied" in done.stderr:
        pytest.skip("the servers' user cannot read this checkout")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "secret_unreadable" in done.stdout
    assert "store_denied" in done.stdout


class FastClock(SystemClock):
    def now(self):
        return super().now() + timedelta(seconds=30)


def test_clocks_that_differ_are_a_warning(server, desk):
    desk.write(server)
    installation = Installation.looked_at(load_stack(desk.stack_file), desk.state)
    skewed = dataclasses.replace(installation, clock=FastClock())
    (finding,) = [each for each in check_resource(skewed, ResourceName("orders")) if each.aspect == "clock"]
    assert finding.grade is Grade.WARNING
    assert "30.0 s behind" in finding.found


# Repositories


def test_a_repository_that_was_made_is_known_written_to_and_left_as_it_was(server, desk):
    desk.write(server)
    repository = made(desk)
    before = sorted(repository.rglob("*"))
    found = desk.check()
    assert [found[aspect][0].grade for aspect in ("repository", "controller", "writable", "store_honours")] == [Grade.OK] * 4
    assert sorted(repository.rglob("*")) == before


def test_a_repository_whose_disk_is_not_mounted_is_a_failure(server, desk):
    desk.write(server)
    shutil.rmtree(made(desk))
    finding = desk.finding("repository")
    assert finding.grade is Grade.FAILURE
    assert "mount the disk" in finding.change


def test_a_repository_in_a_place_that_cannot_be_made_is_a_failure(server, desk):
    desk.write(server, repository=f"{{url: file://{desk.identity_file}/repository}}")
    assert desk.finding("writable").grade is Grade.FAILURE


def test_a_repository_with_another_identity_than_before_is_a_failure(server, desk):
    desk.write(server)
    made(desk)
    (desk.state / "repositories" / "near").write_text("0123456789abcdef")
    assert "0123456789abcdef" in desk.finding("repository").expected


def test_a_repository_that_somebody_else_signed_is_a_failure(server, desk):
    desk.write(server)
    made(desk)
    desk.state = desk.directory / "other-state"
    finding = desk.finding("repository")
    assert finding.grade is Grade.FAILURE
    assert "signature_untrusted" in finding.found


def test_a_repository_that_another_controller_writes_is_a_failure(server, desk):
    path = desk.secret_file("signing", new_signing_key().reveal())
    desk.write(server, encryption=keys(desk, f"signing_key: file:{path}"))
    made(desk)
    desk.state = desk.directory / "other-state"
    finding = desk.finding("controller")
    assert finding.grade is Grade.FAILURE
    assert "--state" in finding.change


# Buckets


@pytest.fixture
def bucket(desk, tmp_path):
    with RcloneS3(tmp_path / "buckets", "shop") as s3:
        desk.secret_file("access", ACCESS_KEY)
        desk.secret_file("secret", SECRET_KEY)

        def settings(name="shop", access="access", endpoint=s3.endpoint):
            place = f"url: s3://{name}/prod, endpoint: '{endpoint}'"
            return f"{{{place}, access_key: file:{desk.directory}/{access}, secret_key: file:{desk.directory}/secret}}"

        yield settings, tmp_path / "buckets" / "shop"


def test_a_bucket_is_tried_and_left_empty(server, desk, bucket):
    settings, directory = bucket
    desk.write(server, repository=settings())
    found = desk.check()
    assert [found[aspect][0].grade for aspect in ("repository", "writable")] == [Grade.OK] * 2
    assert "conditional puts no" in found["store_honours"][0].found
    assert [path for path in directory.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("wrong", [{"name": "absent"}, {"access": "url"}, {"endpoint": "http://127.0.0.1:9"}])
def test_a_bucket_that_is_not_ours_to_use_is_a_failure(server, desk, bucket, wrong):
    settings, _ = bucket
    desk.write(server, repository=settings(**wrong))
    finding = desk.finding("repository")
    assert finding.grade is Grade.FAILURE
    assert finding.change
