"""What ``adopt`` says to type next, by what there is."""

import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest

from understudy.app.adopting import AdoptedRepository, Adoption
from understudy.app.adoption_survey import HeldResource, NewestBackup
from understudy.cli.adopting import next_commands

NOW = datetime(2026, 11, 23, 3, tzinfo=UTC)
NEWEST = NewestBackup("20261123-030000F", NOW, 1)


def held(name, *repositories, newest=NEWEST):
    return HeldResource(name, "postgres", repositories, 0 if newest is None else 1, newest, "", None, (), "")


def commands(*resources, name="near", stack_file="understudy.yaml", is_this_hosts=False):
    adoption = Adoption(
        already=False,
        stack="shop",
        stack_file=Path(stack_file).absolute(),
        state=Path("/state"),
        identity_file=Path("/state/identity"),
        signer="",
        repository=AdoptedRepository(name, "file:///mnt", "0", NOW, "controller", NOW, is_this_hosts),
        stored=None,
        changes=(),
        resources=resources,
        missing=(),
        other_repositories={},
        kit_signers_left_out=(),
    )
    return [command.removeprefix("understudy ") for command, _ in next_commands(adoption)]


TAKE_OVER = "recover complete_failure --take-over"


@pytest.mark.parametrize(
    ("resources", "name", "expected"),
    [
        ([held("orders", "near")], "near", TAKE_OVER),
        ([held("orders", "near", "far"), held("users", "near", "far")], "near", TAKE_OVER),
        ([held("orders", "near", "far")], "far", f"{TAKE_OVER} --repository far"),
        ([held("orders", "far"), held("users", "near", newest=None)], "far", f"{TAKE_OVER} --resource orders"),
    ],
    ids=["one", "all that there is", "from a further repository", "without what is not there"],
)
def test_the_recovery_is_of_what_is_there_and_from_where_it_is(resources, name, expected):
    check, recover, restore = commands(*resources, name=name)
    assert (check, recover) == ("check", expected)
    from_there = " --repository far" if "--repository" in expected else ""
    assert restore == f"restore orders --to /an/empty/directory{from_there}"


def test_where_nothing_is_there_no_recovery_is_offered():
    assert commands(held("orders", "near", newest=None)) == ["check"]


def test_once_it_was_taken_over_there_is_nothing_left_to_do():
    assert commands(held("orders", "near"), is_this_hosts=True) == ["status"]


def test_another_stack_file_than_the_usual_one_is_named():
    assert all(
        command.endswith(f" --stack {shlex.quote('/etc/shop.yaml')}")
        for command in commands(held("orders", "near"), stack_file="/etc/shop.yaml")
    )
