"""Room is looked for where it will be used: on each file system, for all the directories that share it."""

import subprocess
from dataclasses import replace

import pytest

from tests.steps.protected import world_of
from understudy.ports.instance import InstancePlace
from understudy.steps.provision_target import ProvisionTarget
from understudy.vocabulary.errors import Refusal

_MEGABYTE = 1 << 20


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    directory = tmp_path / "small-disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(directory)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("this user may not mount a file system")
    yield directory
    subprocess.run(["umount", str(directory)], check=True)


def provision(data, **needs):
    """``needs``: directories below the data directory's parent, as (directory, bytes)."""
    others = {str(directory): size for directory, size in needs.values()}
    return ProvisionTarget(
        "orders", InstancePlace(str(data), "/nowhere"), bytes_needed={str(data): _MEGABYTE, **others},
        other_directories=tuple(others),
    )  # fmt: skip


def test_a_tablespaces_own_file_system_must_have_room_for_it(protected, small_disk, tmp_path):
    world, data = world_of(protected.installation()), tmp_path / "copy"
    with pytest.raises(Refusal) as refused:
        provision(data, fast=(small_disk / "fast", 9 * _MEGABYTE)).run(world)
    assert refused.value.code == "target_too_small"
    assert str(small_disk / "fast") in refused.value.found and str(data) not in refused.value.found
    assert f"{9 * _MEGABYTE:,} bytes" in refused.value.expected
    assert not data.exists() and not (small_disk / "fast").exists()
    fits = provision(data, fast=(small_disk / "fast", 7 * _MEGABYTE)).run(world)
    assert sorted(len(each["directories"]) for each in fits.proof["room"]) == [1, 1]


def test_directories_that_share_a_file_system_need_room_for_all_of_them(protected, small_disk):
    world, data = world_of(protected.installation()), small_disk / "copy"
    with pytest.raises(Refusal) as refused:
        provision(data, fast=(small_disk / "fast", 4 * _MEGABYTE), wal=(small_disk / "wal", 4 * _MEGABYTE)).run(world)
    assert refused.value.code == "target_too_small"
    assert f"{9 * _MEGABYTE:,} bytes" in refused.value.expected
    assert f"{4 * _MEGABYTE:,} in {small_disk / 'wal'}" in refused.value.expected
    assert list(small_disk.iterdir()) == []
    fits = provision(data, fast=(small_disk / "fast", 3 * _MEGABYTE), wal=(small_disk / "wal", 3 * _MEGABYTE)).run(world)
    assert [each["bytes_needed"] for each in fits.proof["room"]] == [7 * _MEGABYTE]


def test_where_the_old_data_went_is_said_also_by_the_attempt_after_a_kill(protected, tmp_path):
    world, data = world_of(protected.installation(), "recovery-1"), tmp_path / "data"
    data.mkdir()
    (data / "precious").write_text("data")
    step = replace(provision(data), set_aside=True)
    world.places.set_aside(str(data), world.run)  # and here the first attempt is killed
    for _ in range(2):
        assert step.run(world).proof["set_aside"] == [f"{data}.before-recovery-1"]
    assert (tmp_path / "data.before-recovery-1" / "precious").read_text() == "data"
