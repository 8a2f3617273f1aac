"""What ``status`` says of each copy: how new it is, what has proven it, what its store promises."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from understudy.cli.printing import duration, moment

if TYPE_CHECKING:
    from understudy.app.copies import CopyStatus


def copy_rows(kept_in: Sequence[CopyStatus]) -> Iterator[tuple[str, str]]:
    for each in kept_in:
        yield f"  in {each.repository}", "; ".join((_copy(each), _proof(each), _promise(each)))


def _copy(each: CopyStatus) -> str:
    if each.newest is None:
        return "no copy was made from here"
    said = f"{each.newest.label}, {moment(each.newest.ended)} ({each.newest.run})"
    if not each.behind_seconds:
        return said
    return said + ", " + click.style(f"{duration(timedelta(seconds=each.behind_seconds))} behind", fg="yellow")


def _proof(each: CopyStatus) -> str:
    proof = each.last_proof
    return f"proven by {proof.run}, {moment(proof.ended)}" if proof is not None else "proven by no restore yet"


def _promise(each: CopyStatus) -> str:
    if not each.can_lock:
        return "this store cannot lock"
    if each.lock is not None:
        return f"locked until {moment(each.lock.until)} ({each.lock.mode})"
    return click.style("not locked yet", fg="yellow") if each.asked_to_lock else "not locked"
