"""A server without the host's network: in a namespace of its own, where there is a loopback and nothing behind it.

Everything that we need of such a server goes over a socket in the file system and through files, which need no network. Sources:
network_namespaces(7), user_namespaces(7), netdevice(7).
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import BinaryIO

from understudy.adapters.postgres.accounts import Account
from understudy.adapters.postgres.cluster_programs import plain_environment

_CLONE_NEWNET = 0x40000000

_CUT_OFF = """\
import ctypes, fcntl, os, socket, struct, sys

def cut_off():
    # What root need not have: a user namespace, in which we are who we are.
    user, group = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(0x40000000 | (0 if user == 0 else 0x10000000)):
        return False
    if user:
        for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
            with open(f"/proc/self/{name}", "w") as file:
                file.write(text)
    return True

def tried():
    # In a process of its own: what is begun and then refused cannot be taken back.
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if cut_off() else 1)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

done = tried() and cut_off()
if done:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            fcntl.ioctl(asked, 0x8914, struct.pack("16sh22x", b"lo", 1))
        except OSError:
            pass
if sys.argv[1] == "--try":
    sys.exit(0 if done else 1)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""For who is not root: a process with threads makes no user namespace, so one in between does, and becomes the server. Where the
host does not allow it, the server runs as it would without; ``is_cut_off`` tells."""

_TRY_SECONDS = 20


def start_server(arguments: list[str], log: BinaryIO, account: Account, *, cut_off: bool) -> subprocess.Popen[bytes]:
    """
    Args:
        cut_off: It gets no network but a loopback of its own, where this host allows that.

    Raises:
        OSError: it cannot be started.
    """
    if not cut_off:
        return _start(arguments, log, account)
    if os.geteuid() != 0:
        return _start([*_launcher(), *arguments], log, account)
    # Of the one thread that leaves it, and of what that starts.
    with ThreadPoolExecutor(1, initializer=_leave_the_network) as beside:
        return beside.submit(_start, arguments, log, account).result()


def is_cut_off(pid: int) -> bool | None:
    """Whether the process has another network than we; None where nobody tells: it ended, or is not ours to look at."""
    try:
        return Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    except OSError:
        return None


@cache
def can_cut_off() -> bool:
    """Whether this host allows it to this user; tried out, by a process that ends at once."""
    try:
        done = subprocess.run(
            [*_launcher(), "--try"], check=False, stdin=subprocess.DEVNULL, capture_output=True, cwd="/", timeout=_TRY_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _start(arguments: list[str], log: BinaryIO, account: Account) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True, umask=0o077,
        env=plain_environment(), **account.identity,
    )  # fmt: skip


def _launcher() -> list[str]:
    return [sys.executable, "-I", "-S", "-c", _CUT_OFF]


def _leave_the_network() -> None:
    """Nothing happens where it is refused, as it is to root in many a container. The loopback stays down: no server that we start
    so needs it, but for the statistics of PostgreSQL 13 and 14, which nobody asks for here.
    """
    ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET)
