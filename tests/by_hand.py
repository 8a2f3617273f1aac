"""``RECOVERY.md``, followed literally by somebody who has nothing but a shell and stock tools."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.servers.flavours import give_to_owner, run_as_owner
from understudy.repository.snapshots.recovery_half import SNAPSHOTS_HEADING

_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.M | re.S)

needs_stock_tools = pytest.mark.skipif(
    any(shutil.which(tool) is None for tool in ("age", "zstd", "sha256sum", "tar")), reason="a stock tool is not installed"
)


def commands_of(page: str) -> list[str]:
    """The blocks of commands, in order; the first one holds the variables."""
    return _BLOCK.findall(page)


def follow_the_page(
    page: str, place: Path, variables: Mapping[str, object], *, before_start: str = ""
) -> subprocess.CompletedProcess[str]:
    """Every block of the databases' half, in one shell at work in ``place``. The commands are those of the page; only the
    variables are filled in.

    ``before_start``: what goes wrong between the checks and the start of the server.
    """
    declared, *commands = commands_of(page.partition(SNAPSHOTS_HEADING)[0])
    (start,) = [number for number, block in enumerate(commands) if "pg_ctl" in block]
    commands.insert(start, before_start)
    for name, value in variables.items():
        declared, count = re.subn(rf"^{name}=.*$", f"{name}={value}", declared, flags=re.M)
        assert count == 1, name
    for path in (place, *place.rglob("*")):
        give_to_owner(path)
    return subprocess.run(
        ["/bin/sh"],
        input="\n".join([declared, *commands]),
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        cwd=place, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, **run_as_owner(),
    )  # fmt: skip
