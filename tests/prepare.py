"""What the tests need beyond Python packages: Debian's PostgreSQL 15 and age, installed where that is possible.

Installs with apt-get as root. Where it may not, it says which tests are left out and why; with CI=true that is a failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NEEDED = {
    "postgresql-15": Path("/usr/lib/postgresql/15/bin/postgres"),
    "age": Path("/usr/bin/age"),
    "zstd": Path("/usr/bin/zstd"),
}
LEFT_OUT = {
    "postgresql-15": "the tests on PostgreSQL 15 (TLS, SCRAM, amcheck)",
    "age": "the tests that restore with stock tools alone, and those of the age program",
    "zstd": "the tests that restore with stock tools alone",
}


def missing() -> list[str]:
    return [package for package, program in NEEDED.items() if not program.exists() and shutil.which(program.name) is None]


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
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]):
        done = subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"{' '.join(command)} ended with {done.returncode}: {done.stderr.strip()[-500:]}"
    return ""


def main() -> int:
    wanted = missing()
    if not wanted:
        return 0
    print(f"installing {', '.join(wanted)} for the tests", flush=True)
    why = install(wanted)
    still = missing()
    for package in still:
        print(f"left out: {LEFT_OUT[package]}, because {package} is not installed ({why or 'apt-get did not install it'})")
    return 1 if still and os.environ.get("CI") == "true" else 0


if __name__ == "__main__":
    sys.exit(main())
