"""restic, as its manual sets it up: a local repository of version 2, compressed and encrypted. Source: restic.readthedocs.io."""

from __future__ import annotations

import shutil
from pathlib import Path

from bench.ground import Ground
from bench.processes import run
from bench.stock import sync

_PROGRAM = "/usr/bin/restic"


def version() -> str | None:
    return run([_PROGRAM, "version"]).strip() if Path(_PROGRAM).exists() else None


class Restic:
    """One repository with a cache of its own."""

    def __init__(self, ground: Ground) -> None:
        self._directory = ground.new_directory("restic")
        self.repository = self._directory / "repository"
        self._run("init", "--repository-version", "2")

    def back_up(self, source: Path) -> str:
        """It finds the snapshot before by the path."""
        return self._run("backup", "--quiet", str(source))

    def restore(self, source: Path, target: Path, *arguments: str) -> str:
        """What lay in ``source`` lies below ``target`` by its whole path; synced, as Understudy's is."""
        said = self._run("restore", "latest", "--quiet", "--path", str(source), "--target", str(target), *arguments)
        sync(target)
        return said

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self.repository.rglob("*") if path.is_file())

    def close(self) -> None:
        shutil.rmtree(self._directory, ignore_errors=True)

    def _run(self, *arguments: str) -> str:
        environment = {"RESTIC_PASSWORD": "the-benchmark-seals-with-this", "RESTIC_CACHE_DIR": str(self._directory / "cache")}
        return run([_PROGRAM, "--repo", str(self.repository), *arguments], environment=environment, cwd=str(self._directory))
