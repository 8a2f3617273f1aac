import shutil
from pathlib import Path

import pytest

from tests.servers.flavours import Flavour, programs_of, server_owner
from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.programs import find_programs
from understudy.vocabulary.errors import GiveUp


@pytest.mark.parametrize("flavour", list(Flavour))
def test_the_programs_of_each_major_version_are_found(flavour):
    programs_of(flavour)
    programs = find_programs(flavour.major)
    assert programs.major == flavour.major
    assert Path(programs.path("pg_receivewal")).exists()


def test_an_explicit_directory_of_another_major_version_is_refused():
    with pytest.raises(GiveUp) as refused:
        find_programs(15, explicit=str(programs_of(Flavour.WHEEL_18)))
    assert refused.value.code == "programs_wrong_major"
    assert "PostgreSQL 18" in refused.value.found


def test_an_explicit_directory_without_programs_is_refused(tmp_path):
    with pytest.raises(GiveUp) as refused:
        find_programs(18, explicit=str(tmp_path))
    assert refused.value.code == "programs_missing"


def test_a_major_version_that_is_not_installed_says_how_to_install_it():
    with pytest.raises(GiveUp) as refused:
        find_programs(12)
    assert refused.value.code == "programs_missing"
    assert "PostgreSQL 12" in refused.value.expected


@pytest.mark.skipif(server_owner() is None, reason="only root can try as somebody else")
def test_programs_below_a_directory_that_the_user_may_not_enter_are_refused(tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    programs = programs_of(Flavour.WHEEL_18)
    shutil.copytree(programs.parent, closed / "pg", symlinks=True)
    with pytest.raises(GiveUp) as refused:
        find_programs(18, explicit=str(closed / "pg" / "bin"), user=Account.choose())
    assert refused.value.code == "programs_unreachable"
    assert "is closed to others" in refused.value.hint
