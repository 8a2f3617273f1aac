"""What is typed about a restore, a drill and a recovery becomes the choice that their plan is made of."""

import inspect
from dataclasses import replace

import click
import pytest

from tests.told import told_whole
from understudy.cli.exit_codes import ExitCode
from understudy.cli.recovering import choice_of, drill, recover
from understudy.cli.restoring import restore
from understudy.plan.request import Choice
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import RepositoryName
from understudy.vocabulary.recovery_target import LATEST, RecoveryTarget, TargetKind
from understudy.vocabulary.wal import Timeline

TYPED = {
    restore: ("orders", "--to", "/srv/copy"),
    drill: ("database_corruption",),
    recover: ("data_loss",),
}
LABEL = "20261123-030000F_20261124-030000I"
CHOICES = {
    (): Choice(LATEST),
    ("--time", "2026-11-23T03:00:00+00:00"): Choice(RecoveryTarget(TargetKind.TIME, "2026-11-23T03:00:00+00:00")),
    ("--lsn", "0/3000060"): Choice(RecoveryTarget(TargetKind.LSN, "0/3000060")),
    ("--xid", "742"): Choice(RecoveryTarget(TargetKind.TRANSACTION, "742")),
    ("--name", "before the upgrade"): Choice(RecoveryTarget(TargetKind.NAME, "before the upgrade")),
    ("--immediate",): Choice(RecoveryTarget(TargetKind.IMMEDIATE)),
    ("--timeline", "2"): Choice(timeline=Timeline(2)),
    ("--backup", LABEL): Choice(label=LABEL),
    ("--repository", "far"): Choice(repository=RepositoryName("far")),
    ("--xid", "742", "--timeline", "2", "--backup", LABEL): Choice(
        RecoveryTarget(TargetKind.TRANSACTION, "742"), timeline=Timeline(2), label=LABEL
    ),
}
TABLESPACES = {
    ("--tablespace", "fast=/srv/fast", "--tablespace", "cold=/srv/cold"): Choice(
        tablespaces={"fast": "/srv/fast", "cold": "/srv/cold"}
    )
}
QUARANTINED = {("--quarantined",): Choice(quarantined=True, tablespaces={})}
SNAPSHOTS = {("--only", "contracts/2026"): Choice(only="contracts/2026", tablespaces={})}
PARTS = {
    ("--database", "shop"): Choice(database="shop", tablespaces={}),
    ("--table", "shop.public.orders"): Choice(table="shop.public.orders", tablespaces={}),
}
OF_A_RESTORE = {"--only", "--quarantined", "--database", "--table"}
LACKING = {restore: set(), recover: OF_A_RESTORE, drill: OF_A_RESTORE | {"--tablespace"}}
COMMANDS = [pytest.param(command, id=command.name) for command in TYPED]


def chosen(command, *options):
    """As the command itself asks for its choice: by the names of its parameters."""
    given = command.make_context(command.name, [*TYPED[command], *options]).params
    return choice_of(**{name: given[name] for name in inspect.signature(choice_of).parameters if name in given})


@pytest.mark.parametrize("options", [pytest.param(options, id=" ".join(options) or "none") for options in CHOICES])
@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_becomes_the_choice_that_it_names(command, options):
    assert chosen(command, *options) == replace(CHOICES[options], tablespaces={})


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_about_a_target_is_among_them(command):
    of_a_choice = set(inspect.signature(choice_of).parameters)
    named = {option for param in command.params if param.name in of_a_choice for option in param.opts}
    typed = {
        word
        for options in (*CHOICES, *TABLESPACES, *SNAPSHOTS, *QUARANTINED, *PARTS)
        for word in options
        if word.startswith("--")
    }
    assert named == typed - LACKING[command]


@pytest.mark.parametrize("options", [pytest.param(options, id=" ".join(options)) for options in PARTS])
def test_a_part_of_a_dump_becomes_the_choice_that_it_names(options):
    assert chosen(restore, *options) == PARTS[options]


def test_what_is_wanted_of_a_snapshot_becomes_the_choice_that_it_names():
    [(options, choice), (looking, quarantined)] = (SNAPSHOTS | QUARANTINED).items()
    assert chosen(restore, *looking) == quarantined
    assert chosen(restore, *options) == choice


@pytest.mark.parametrize("command", [pytest.param(command, id=command.name) for command in (restore, recover)])
def test_each_tablespace_gets_the_directory_that_is_named_for_it(command):
    [(options, choice)] = TABLESPACES.items()
    assert chosen(command, *options) == choice


@pytest.mark.parametrize(
    "options",
    [("--xid", "742", "--name", "before the upgrade"), ("--immediate", "--lsn", "0/3000060")],
    ids=" ".join,
)
@pytest.mark.parametrize("command", COMMANDS)
def test_two_targets_are_wrong_usage(command, options):
    with pytest.raises(click.UsageError):
        chosen(command, *options)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (("--xid", "the last one"), "digits"),
        (("--lsn", "3000060"), "0/3000060"),
        (("--name", ""), "1 to 63 bytes"),
        (("--time", "2026-11-23T03:00:00"), "with its offset"),
        (("--time", "yesterday"), "ISO 8601"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_no_target_is_refused_with_what_one_looks_like(command, options, expected):
    with pytest.raises(Refusal) as refused:
        chosen(command, *options)
    assert (told_whole(refused.value), ExitCode.of(refused.value)) == ("option_malformed", ExitCode.USAGE)
    assert " ".join(options[:1]) in refused.value.found and repr(options[1]) in refused.value.found
    assert expected in refused.value.expected


@pytest.mark.parametrize("typed", ["fast", "fast=", "=/srv/fast", "fast=srv/fast"])
def test_a_tablespace_without_an_absolute_directory_is_refused(typed):
    with pytest.raises(Refusal) as refused:
        chosen(restore, "--tablespace", typed)
    assert told_whole(refused.value) == "option_malformed"
