"""How long the terminal takes to answer."""

from __future__ import annotations

from tests.servers.flavours import Flavour

from bench.databases import database
from bench.ground import Ground
from bench.processes import costs, run
from bench.results import Compared, Measured, RowResult
from bench.rounds import Options
from bench.subject import UnderstudySubject

NAME = "terminal"
TITLE = "Answers in the terminal"

_TIMES_A_ROUND = 3
_HOW = "Wall time of the command, file cache warm. `status` of a stack with one database that is being served and has a backup."


def measure(ground: Ground, options: Options) -> RowResult:
    with database(ground, Flavour.WHEEL_18, 1) as server, UnderstudySubject(ground, server) as subject:
        subject.back_up("--full")
        subject.serve()
        commands = {"--help": [*subject.base_command, "--help"], "status": subject.command("status")}
        found: dict[str, list[float]] = {name: [] for name in commands}
        ground.settle()
        for command in commands.values():
            run(command)
        for _ in range(options.rounds * _TIMES_A_ROUND):
            for name, command in commands.items():
                found[name].append(costs(lambda command=command: run(command)).wall_seconds)
    compared = [
        Compared(f"understudy {name}, s", found[name], None, target) for name, target in (("--help", 0.3), ("status", 0.5))
    ]
    return RowResult(
        NAME, TITLE, _HOW, [Measured(f"understudy {name}", "wall s", values) for name, values in found.items()], compared
    )
