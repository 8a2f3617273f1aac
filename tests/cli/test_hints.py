"""A command that a hint names leads to the stack that the hint was given for, wherever the hint was written."""

from pathlib import Path

import click
import pytest

from understudy.cli.options import on_this_stack
from understudy.cli.reference import commands

STACK, STATE = Path("/etc/understudy/my shop.yaml"), Path("/srv/state")
LED = "--stack '/etc/understudy/my shop.yaml' --state /srv/state"
RUN = "20261123-030000-1a2b3c"


def said(text, stack_file=STACK, state=STATE):
    """As a command that was given this stack says it."""
    with click.Context(click.Command("status")) as context:
        context.params = {"stack_file": stack_file, "state": state}
        return on_this_stack(text)


@pytest.mark.parametrize(
    ("hint", "shown"),
    [
        (
            f"how it ended: understudy show {RUN}; all: understudy runs",
            f"how it ended: understudy show {RUN} {LED}; all: understudy runs {LED}",
        ),
        (
            f"`understudy resume {RUN}` or `understudy cancel {RUN}`",
            f"`understudy resume {RUN} {LED}` or `understudy cancel {RUN} {LED}`",
        ),
        ("(understudy expire removes backups that are due)", f"(understudy expire {LED} removes backups that are due)"),
        ("take one: understudy backup orders; or", f"take one: understudy backup orders {LED}; or"),
        ("take one: understudy backup orders --full", f"take one: understudy backup orders --full {LED}"),
        ("list them (understudy backups orders)", f"list them (understudy backups orders {LED})"),
        ("understudy backup RESOURCE --take-over writes to it", f"understudy backup RESOURCE --take-over {LED} writes to it"),
        ("understudy restore orders --to DIRECTORY", f"understudy restore orders --to DIRECTORY {LED}"),
        (
            "understudy restore orders --backup LABEL --to DIRECTORY leaves it",
            f"understudy restore orders --backup LABEL --to DIRECTORY {LED} leaves it",
        ),
        ("understudy drill database_corruption", f"understudy drill database_corruption {LED}"),
        ("as understudy evidence export wrote it", f"as understudy evidence export {LED} wrote it"),
    ],
)
def test_a_command_in_a_hint_leads_to_the_stack_of_whoever_reads_it(hint, shown):
    assert said(hint) == shown
    assert said(shown) == shown, "twice is the same as once"
    assert said(hint, Path("understudy.yaml"), None) == hint, "the defaults lead there by themselves"


@pytest.mark.parametrize(
    "hint",
    [
        "owned by the user that understudy runs as",
        "end understudy serve, then try again",
        "see: understudy init --help",
        "pip install 'understudy[s3]'",
    ],
)
def test_what_is_not_to_be_typed_on_a_stack_stays_as_it_is(hint):
    assert said(hint) == hint


def test_without_a_stack_a_hint_stays_as_it_is():
    with click.Context(click.Command("demo")):
        assert on_this_stack("understudy runs") == "understudy runs"
    assert on_this_stack("understudy runs") == "understudy runs"


def test_every_command_on_a_stack_is_led_there_but_serve_which_hints_speak_of_as_a_process():
    on_a_stack = {path for path, command in commands() if any(param.name == "stack_file" for param in command.params)}
    left_alone = {path for path in on_a_stack if said(path) == path}
    assert left_alone == {"understudy serve"}
