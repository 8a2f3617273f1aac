"""What sealing with GnuPG costs against age: the adapters alone, with what they start."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

from tests.openpgp_keys import openpgp_key

from bench.ground import Ground
from bench.processes import costs
from bench.results import Compared, Measured, RowResult
from bench.rounds import DISTURBED, Figures, Options, take_turns
from understudy.adapters.age import choose_sealer, new_identity
from understudy.adapters.gnupg import GnupgProgram

NAME = "sealing"
TITLE = "Sealing with GnuPG against age"

_PIECE = os.urandom(1024 * 1024)
_PIECES = 512
_HOW = (
    "One stream of 512 MiB that no compression makes smaller, through the adapters and the processes that they start, to one "
    "recipient (X25519), memory to memory: sealed, and opened again. Wall time and CPU time of both sides."
)


def measure(ground: Ground, options: Options) -> RowResult:
    key, (identity, recipient) = openpgp_key("bench"), new_identity()
    age, gpg = choose_sealer(), GnupgProgram(lambda: [key.public])
    series = take_turns(
        ground,
        options.rounds,
        {
            "age, sealing": lambda _: _cost(lambda: age.seal(_pieces(), [recipient])),
            "gpg, sealing": lambda _: _cost(lambda: gpg.seal(_pieces(), [key.fingerprint])),
            "age, sealing and opening": lambda _: _cost(lambda: age.open(age.seal(_pieces(), [recipient]), identity)),
            "gpg, sealing and opening": lambda _: _cost(lambda: gpg.open(gpg.seal(_pieces(), [key.fingerprint]), key.secret)),
        },
    )
    gpg.close()
    measured = [Measured(subject, quantity, values) for (subject, quantity), values in series.values.items()]
    compared = [
        Compared(f"gpg against age, {what}, wall", series.of(f"gpg, {what}"), series.of(f"age, {what}"))
        for what in ("sealing", "sealing and opening")
    ]
    return RowResult(NAME, TITLE, _HOW, measured, compared)


def _pieces() -> Iterable[bytes]:
    return (_PIECE for _ in range(_PIECES))


def _cost(work: Callable[[], Iterable[bytes]]) -> Figures:
    def drain() -> str:
        for _ in work():
            pass
        return ""

    cost = costs(drain)
    return {"wall s": cost.wall_seconds, "CPU s": cost.cpu_seconds, DISTURBED: cost.disturbed_share}
