"""What the tests need beyond Python packages: Debian's PostgreSQL 15, Redis and a few programs, installed where possible.

Installs with apt-get as root. Where it may not, it says which tests are left out and why; with CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_LIBRARIES = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}"


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    programs: tuple[str, ...]
    """By their names, or files by their paths."""
    left_out: str
    """The tests that do without it."""

    @property
    def missing(self) -> bool:
        return any(shutil.which(program) is None and not Path(program).exists() for program in self.programs)


NEEDED = (
    Package("postgresql-15", ("/usr/lib/postgresql/15/bin/postgres",), "the tests on PostgreSQL 15 (TLS, SCRAM, amcheck)"),
    Package("age", ("age",), "the tests that restore with stock tools alone, and those of the age program"),
    Package("gnupg", ("gpg", "gpg-agent"), "the tests of sealing with gpg"),
    Package("zstd", ("zstd",), "the tests that restore with stock tools alone"),
    Package("redis-server", ("redis-server", "redis-cli", "redis-check-rdb"), "the tests of Redis"),
    Package("skopeo", ("skopeo",), "the test of the recipe for container images"),
    Package("iproute2", ("ip",), "the tests that pull out a server's network cable"),
    Package("util-linux", ("nsenter", "setpriv"), "the tests that pull out a server's network cable"),
    Package("libpango-1.0-0", (f"{_LIBRARIES}/libpango-1.0.so.0",), "the tests that print a page as PDF"),
    Package("libpangoft2-1.0-0", (f"{_LIBRARIES}/libpangoft2-1.0.so.0",), "the tests that print a page as PDF"),
    Package("libharfbuzz-subset0", (f"{_LIBRARIES}/libharfbuzz-subset.so.0",), "the tests that print a page as PDF"),
    Package("mount", ("mount", "umount"), "the tests that fill a disk, or take one away"),
)


def install(packages: list[str]) -> str:
    """Why it could not be done; empty when it was."""
    if os.geteuid() != 0:
        return "this user is not root"
    if shutil.which("apt-get") is None:
        return "there is no apt-get here"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    # A cluster that the package makes and starts by itself would only be in the way.
    policy = Path("/etc/postgresql-common/createcluster.d/understudy-tests.conf")
    policy.parent.mkdir(parents=True, exist_ok=True)
    policy.write_text("create_main_cluster = false\n")
    with no_services():
        return _install(packages, environment)


@contextmanager
def no_services() -> Iterator[None]:
    """Nor is a Redis server wanted that a package starts by itself."""
    policy = Path("/usr/sbin/policy-rc.d")
    if policy.exists():
        yield
        return
    policy.write_text("#!/bin/sh\nexit 101\n")
    policy.chmod(0o755)
    try:
        yield
    finally:
        policy.unlink()


def _install(packages: list[str], environment: dict[str, str]) -> str:
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    return ""


def main() -> int:
    wanted = [package.name for package in NEEDED if package.missing]
    if not wanted:
        return 0
    print(f"installing {', '.join(wanted)} for the tests", flush=True)
    why = install(wanted)
    still = [package for package in NEEDED if package.missing]
    for package in still:
        print(f"left out: {package.left_out}, because {package.name} is not installed ({why or 'apt-get did not install it'})")
    return 1 if still and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
