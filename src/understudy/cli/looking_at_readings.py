"""What ``status`` says of reading back: what is damaged, how far the cycle is, and when it comes round."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from understudy.cli.looking_at_snapshots import scheduled
from understudy.cli.options import command_on
from understudy.cli.printing import moment, say
from understudy.vocabulary.sizes import readable_size

if TYPE_CHECKING:
    from understudy.app.scheduled_reading import ReadingStatus, RepositoryReading


def print_reading_back(status: ReadingStatus, *, known: bool, served: bool) -> None:
    click.echo(
        "\n" + click.style("reading back", bold=True) + f"  (up to {readable_size(status.budget_bytes)} from each repository)"
    )
    schedule = status.schedule
    if schedule is None:
        say(f"  {'next run'.ljust(14)} no schedule (by hand: {command_on('verify', '--within', 'SIZE')})", hang=17)
    else:
        rows = scheduled((schedule,), schedule.next, known=known, served=served)
        for name, value in (("next run", rows[0][1]), *rows[1:]):
            say(f"  {name.ljust(14)} {value}", hang=17)
    for each in status.repositories:
        say(f"  {each.repository.ljust(14)} {_told(each) if known else 'unknown: the records cannot be read'}", hang=17)


def _told(reading: RepositoryReading) -> str:
    if not reading.units:
        return "nothing was read yet"
    told = f"{readable_size(reading.size_bytes)} in {reading.units} objects: "
    by = f" by {moment(reading.complete)}" if reading.complete is not None else ""
    if reading.never_read:
        told += f"{readable_size(reading.never_read_bytes)} in {reading.never_read} of them not read yet"
        told += f", all of it{by}" if by else ""
    else:
        told += f"all of it read since {moment(reading.oldest_read)}" if reading.oldest_read is not None else ""
        told += f", and once more{by}" if by else ""
    runs = f"{reading.cycle_runs} run{'' if reading.cycle_runs == 1 else 's'}"
    told += f"; a full cycle is {runs}, and {readable_size(reading.read_in_cycle_bytes)} were read in the time of the last one"
    if reading.damaged:
        told += (
            "; "
            + click.style(f"{reading.damaged} damaged", fg="red")
            + f" ({command_on('verify', '--repository', reading.repository)})"
        )
    return told
