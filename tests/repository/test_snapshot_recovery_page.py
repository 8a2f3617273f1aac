"""The half of RECOVERY.md for files and buckets, followed literally with a shell and stock tools."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.repository.sample_keys import gpg_keys
from tests.repository.snapshot_world import DOCUMENTS, SnapshotWorld, label_of
from understudy.ports.collection import Entry, EntryKind
from understudy.repository.recovery_page import recovery_page
from understudy.repository.snapshots.recovery_half import SNAPSHOTS_HEADING

pytestmark = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("age", "zstd", "sha256sum", "tar", "python3")),
    reason="a stock tool is not installed",
)


def follow_the_page(world, **changes):
    """Every block, in one shell. The commands are those of the page; only the variables are filled in."""
    page = recovery_page(world.sealer.sealing).partition(SNAPSHOTS_HEADING)[2]
    variables, *commands = re.findall(r"^```sh\n(.*?)^```", page, re.M | re.S)
    identity = world.directory / "identity.txt"
    identity.write_text(world.keys.identity.reveal())
    filled_in = {
        "REPOSITORY": world.root,
        "IDENTITY": identity,
        "KIND": world.kind,
        "RESOURCE": DOCUMENTS,
        "SNAPSHOT": label_of(2),
        "TARGET": world.directory / "recovered",
        "WORK": world.directory / "work",
        **changes,
    }
    for name, value in filled_in.items():
        variables, count = re.subn(rf"^{name}=.*$", f"{name}={value}", variables, flags=re.M)
        assert count == 1, name
    return subprocess.run(
        ["/bin/sh"],
        input="\n".join([variables, *commands]),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        cwd=world.directory, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
    )  # fmt: skip


@pytest.fixture
def world(tmp_path):
    """A directory in two snapshots, so that the second one stands on parts of the first."""
    world = SnapshotWorld(tmp_path)
    dressed = {"mode": "0640", "mtime": "1700000000.123456789", "uid": os.getuid(), "gid": os.getgid()}
    put, link = world.collection.put, world.collection.put_entry
    link(Entry(".", EntryKind.DIRECTORY, attributes=dressed | {"mode": "0750"}))
    link(Entry("a", EntryKind.DIRECTORY, attributes=dressed | {"mode": "0555"}))
    for number in range(5):
        put(f"a/{number}", os.urandom(4000), **dressed)
    put("a/empty", b"", **dressed)
    put("far", b"of no year", mtime=f"{'9' * 30}.000000000")
    put("no utf-8 \udcff\nand a line", b"any name", **dressed)
    first = put("first", b"of two names", **dressed)
    link(Entry("second", EntryKind.HARD_LINK, fingerprint=first.fingerprint, link="first"))
    link(Entry("symlink", EntryKind.SYMLINK, link="a/nowhere", attributes={"mtime": "-5.000000001"}))
    before = world.take(1, part_bytes=10_000)
    put("a/0", b"another content", **dressed, xattrs={"user.note": base64.b64encode(b"kept").decode()})
    world.manifest = world.take(2, before, part_bytes=10_000)
    assert {part.name for part in before.parts} & {part.name for part in world.manifest.parts}
    return world


def test_every_file_comes_back_with_stock_tools_alone(world):
    done = follow_the_page(world)
    assert done.returncode == 0, done.stdout
    recovered = world.directory / "recovered"
    found = {os.path.relpath(path, recovered) for path in recovered.rglob("*")} | {"."}
    assert found == set(world.collection.held)
    for key, (entry, content) in world.collection.held.items():
        path = recovered / key
        assert entry.kind is not EntryKind.FILE or path.read_bytes() == content
        if "mode" in entry.attributes:
            assert stat.S_IMODE(path.stat().st_mode) == int(entry.attributes["mode"], 8)
            assert path.stat().st_mtime_ns == 1700000000123456789
    assert (recovered / "first").samefile(recovered / "second")
    assert (recovered / "symlink").readlink() == Path("a/nowhere")
    assert (recovered / "symlink").lstat().st_mtime_ns == -5_000_000_001
    assert "'far': the time of change was not put back" in done.stdout
    if "user.note was not put back" not in done.stdout:
        assert os.getxattr(recovered / "a/0", "user.note") == b"kept"


def test_every_object_of_a_bucket_comes_back_as_a_file_that_says_its_key(tmp_path):
    world = SnapshotWorld(tmp_path, kind="bucket")
    for key in ("a", "a/b", "a/", "../up", "/", "é/ü"):
        world.collection.put(key, f"content of {key}".encode(), content_type="text/plain")
    world.take(2)
    done = follow_the_page(world)
    assert done.returncode == 0, done.stdout
    recovered = tmp_path / "recovered"
    told = [json.loads(line) for line in (recovered / "objects.jsonl").read_text().splitlines()]
    assert {each["key"]: (recovered / each["file"]).read_bytes() for each in told} == {
        key: content for key, (_, content) in world.collection.held.items()
    }
    assert told[0]["attributes"] == {"content_type": "text/plain"}


@pytest.mark.skipif(shutil.which("gpg") is None, reason="gpg is not installed")
def test_every_file_comes_back_with_gpg_in_place_of_age(tmp_path):
    keys, sealer = gpg_keys()
    world = SnapshotWorld(tmp_path, recipients=keys.recipients, sealer=sealer, keys=keys)
    for key in ("a", "b"):
        world.collection.put(key, f"content of {key}".encode())
    world.take(2)
    done = follow_the_page(world)
    assert done.returncode == 0, done.stdout
    assert {path.name: path.read_text() for path in (tmp_path / "recovered").iterdir()} == {
        "a": "content of a",
        "b": "content of b",
    }
    assert all(path.name.endswith(".tar.zst.gpg") for path in world.part_paths())


@pytest.mark.parametrize("harm", ["cut", "flipped", "absent", "no manifest"])
@pytest.mark.parametrize("which", [0, 1])
def test_a_damaged_snapshot_is_refused_before_anything_is_unpacked(world, harm, which):
    path = world.path(world.manifest.objects()[which][0])
    content = bytearray(path.read_bytes())
    match harm:
        case "cut":
            path.write_bytes(content[:-1])
        case "flipped":
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
        case "absent":
            path.unlink()
        case "no manifest":
            world.path(world.snapshots.place.manifest(label_of(2))).unlink()
    done = follow_the_page(world)
    assert done.returncode == 1, done.stdout
    for name in ("recovered", "work"):
        assert list((world.directory / name).iterdir()) == []


def test_a_name_that_leads_out_of_the_directory_is_refused(tmp_path):
    world = SnapshotWorld(tmp_path)
    world.collection.put("../outside", b"hostile")
    world.take(2)
    done = follow_the_page(world)
    assert done.returncode == 1, done.stdout
    assert "leads out of the directory" in done.stdout
    assert not (tmp_path / "outside").exists()
