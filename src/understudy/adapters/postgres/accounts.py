"""The unprivileged operating-system user that servers run as: PostgreSQL refuses to run as root."""

from __future__ import annotations

import os
import pwd
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from understudy.vocabulary.errors import Refusal

_CUSTOMARY_USERS = ("postgres", "nobody")


class Identity(TypedDict, total=False):
    """The arguments of ``subprocess`` that change the user; empty when there is nothing to change."""

    user: int
    group: int
    extra_groups: Sequence[int]


@dataclass(frozen=True, slots=True)
class Account:
    """An operating-system user, never root."""

    name: str
    user_id: int
    group_id: int

    @classmethod
    def choose(cls, user: str | None = None, beside: str | None = None) -> Account:
        """Who servers shall run as.

        Without root there is no choice: it is us. As root it is ``user``; else the owner of the nearest existing directory
        above ``beside`` (the data directory to come), unless that is root; else ``postgres``; else ``nobody``.

        Raises:
            Refusal: ``server_user_missing``, ``server_user_is_root`` or ``server_user_not_us``.
        """
        if os.geteuid() != 0:
            return _ourselves(user)
        if user is not None:
            return _named(user)
        if beside is not None and (owner := _owner_above(Path(beside))) is not None:
            return owner
        for name in _CUSTOMARY_USERS:
            try:
                return _of(pwd.getpwnam(name))
            except KeyError:
                continue
        raise Refusal(
            "server_user_missing",
            found="this process is root, and neither a user postgres nor nobody exists",
            expected="an unprivileged user, because PostgreSQL does not run as root",
            hint="create one with: useradd --system postgres",
        )

    @property
    def identity(self) -> Identity:
        """For ``subprocess``: makes a program run as this account."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.user_id, "group": self.group_id, "extra_groups": ()}


def _of(entry: pwd.struct_passwd) -> Account:
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _ourselves(user: str | None) -> Account:
    try:
        us = _of(pwd.getpwuid(os.geteuid()))
    except KeyError:
        us = Account(str(os.geteuid()), os.geteuid(), os.getegid())
    if user is not None and user != us.name:
        raise Refusal(
            "server_user_not_us",
            found=f"servers shall run as {user}, and this process runs as {us.name}",
            expected="the same user, or root",
            hint=f"run this command as {user} (sudo -u {user} …), or as root",
        )
    return us


def _named(user: str) -> Account:
    try:
        account = _of(pwd.getpwnam(user))
    except KeyError:
        raise Refusal(
            "server_user_missing",
            found=f"no operating-system user is called {user}",
            expected="an unprivileged user that servers run as",
            hint=f"create it with: useradd --system {user}",
        ) from None
    if account.user_id == 0:
        raise Refusal(
            "server_user_is_root",
            found=f"{user} has user id 0",
            expected="an unprivileged user, because PostgreSQL does not run as root",
            hint="name another user, usually postgres",
        )
    return account


def _owner_above(path: Path) -> Account | None:
    """The owner of the nearest existing directory at or above ``path``; None for root and for ids without a name."""
    for candidate in (path, *path.parents):
        if candidate.is_dir():
            owner = candidate.stat().st_uid
            try:
                return _of(pwd.getpwuid(owner)) if owner != 0 else None
            except KeyError:
                return None
    return None
