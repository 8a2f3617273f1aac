"""What a file system keeps of a name besides its content, and its form in a snapshot.

The form, each field only where it is known::

    {"mode": "0644", "uid": 1000, "gid": 1000, "user": "ada", "group": "ada", "mtime": "1764270000.123456789",
     "sparse": true, "xattrs": {"user.comment": "<base64>"}}

Not kept: access and change times, the flags of ``chattr``, and labels that belong to the host and not to the file.
"""

from __future__ import annotations

import base64
import binascii
import errno
import grp
import os
import pwd
import re
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from understudy.vocabulary.json import JsonObject

T = TypeVar("T", int | None, str)

_OF_THE_HOST = frozenset({"security.selinux", "security.SMACK64", "security.ima", "security.evm"})
"""Given by the policy and the keys of the host that a file lies on: ``restorecon`` and its like renew them."""
_WITHOUT = {errno.ENOTSUP, errno.ENODATA}
_BLOCK_BYTES = 512
_MTIME = re.compile(r"(-?)([0-9]+)\.([0-9]{9})")
_MODE = re.compile(r"[0-7]{4}")


@dataclass(frozen=True, slots=True)
class Attributes:
    mode: int | None = None
    """Without the file's type; None for symbolic links, which have none of their own."""
    uid: int | None = None
    gid: int | None = None
    user: str = ""
    group: str = ""
    mtime_ns: int | None = None
    sparse: bool = False
    extended: Mapping[str, bytes] = field(default_factory=dict)

    def to_json(self) -> JsonObject:
        told = {
            "mode": None if self.mode is None else f"{self.mode:04o}",
            "uid": self.uid,
            "gid": self.gid,
            "user": self.user or None,
            "group": self.group or None,
            "mtime": None if self.mtime_ns is None else _mtime_text(self.mtime_ns),
            "sparse": self.sparse or None,
            "xattrs": {name: base64.b64encode(self.extended[name]).decode() for name in sorted(self.extended)} or None,
        }
        return {name: value for name, value in told.items() if value is not None}

    @classmethod
    def from_json(cls, told: JsonObject) -> Attributes:
        """What other kinds of collections say besides is no file's, and left out.

        Raises:
            ValueError: a field is no value of its kind.
        """
        mode, mtime = _field(told, "mode", ""), _field(told, "mtime", "")
        if mode and not _MODE.fullmatch(mode):
            raise ValueError(f"mode {mode!r}")
        return cls(
            mode=int(mode, 8) if mode else None,
            uid=_id(told, "uid"),
            gid=_id(told, "gid"),
            user=_field(told, "user", ""),
            group=_field(told, "group", ""),
            mtime_ns=_mtime_ns(mtime) if mtime else None,
            sparse=told.get("sparse") is True,
            extended=_extended(told.get("xattrs", {})),
        )


class Owner(NamedTuple):
    """Who is to own something on this host; -1: whoever does."""

    uid: int
    gid: int
    another_user: bool = False
    """The user's name is unknown here, and the number is somebody else's."""
    another_group: bool = False


class Accounts:
    """Names of users and groups on this host, asked for once each: a directory service may stand behind them."""

    def __init__(self) -> None:
        self._users: dict[int, str] = {}
        self._groups: dict[int, str] = {}
        self._here: dict[tuple[int | None, int | None, str, str], Owner] = {}

    def of(self, found: os.stat_result) -> tuple[str, str]:
        return self._user_of(found.st_uid), self._group_of(found.st_gid)

    def here(self, attributes: Attributes) -> Owner:
        """The numbers that the names have on this host; where it knows no such name, those that are written down."""
        told = (attributes.uid, attributes.gid, attributes.user, attributes.group)
        if told not in self._here:
            uid, gid, *_ = numbers_of(attributes)
            user = _or_else(lambda: pwd.getpwnam(attributes.user).pw_uid, None) if attributes.user else None
            group = _or_else(lambda: grp.getgrnam(attributes.group).gr_gid, None) if attributes.group else None
            self._here[told] = Owner(
                uid if user is None else user,
                gid if group is None else group,
                another_user=bool(attributes.user and user is None and uid != -1 and self._user_of(uid)),
                another_group=bool(attributes.group and group is None and gid != -1 and self._group_of(gid)),
            )
        return self._here[told]

    def _user_of(self, uid: int) -> str:
        if uid not in self._users:
            self._users[uid] = _or_else(lambda: pwd.getpwuid(uid).pw_name, "")
        return self._users[uid]

    def _group_of(self, gid: int) -> str:
        if gid not in self._groups:
            self._groups[gid] = _or_else(lambda: grp.getgrgid(gid).gr_name, "")
        return self._groups[gid]


def numbers_of(attributes: Attributes) -> Owner:
    """As they are written down."""
    return Owner(-1 if attributes.uid is None else attributes.uid, -1 if attributes.gid is None else attributes.gid)


def attributes_of(found: os.stat_result, where: int | str, accounts: Accounts) -> Attributes:
    """``where`` is an open handle, or a path whose last name is not followed."""
    user, group = accounts.of(found)
    regular = stat.S_ISREG(found.st_mode)
    return Attributes(
        mode=None if stat.S_ISLNK(found.st_mode) else stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        user=user,
        group=group,
        mtime_ns=found.st_mtime_ns,
        sparse=regular and found.st_blocks * _BLOCK_BYTES < found.st_size,
        extended=_extended_of(where),
    )


def _extended_of(where: int | str) -> dict[str, bytes]:
    follow = isinstance(where, int)  # a handle has nothing to follow
    found = {}
    try:
        for name in os.listxattr(where, follow_symlinks=follow):
            if name not in _OF_THE_HOST:
                try:
                    found[name] = os.getxattr(where, name, follow_symlinks=follow)
                except OSError as error:  # removed meanwhile; one that only root may read is not listed to others
                    if error.errno not in _WITHOUT:
                        raise
    except OSError as error:
        if error.errno not in _WITHOUT:
            raise
    return found


def _mtime_text(nanoseconds: int) -> str:
    """As ``touch -d @…`` takes it; a number would lose its last digits in many a JSON reader."""
    seconds, rest = divmod(abs(nanoseconds), 10**9)
    return f"{'-' if nanoseconds < 0 else ''}{seconds}.{rest:09d}"


def _mtime_ns(text: str) -> int:
    found = _MTIME.fullmatch(text)
    if not found:
        raise ValueError(f"mtime {text!r}")
    nanoseconds = int(found[2]) * 10**9 + int(found[3])
    return -nanoseconds if found[1] else nanoseconds


def _field(told: JsonObject, name: str, default: str) -> str:
    value = told.get(name, default)
    if not isinstance(value, str):
        raise ValueError(f"{name} {value!r}")
    return value


def _id(told: JsonObject, name: str) -> int | None:
    value = told.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**32 - 1:
        raise ValueError(f"{name} {value!r}")
    return value


def _extended(told: object) -> dict[str, bytes]:
    if not isinstance(told, Mapping):
        raise ValueError(f"xattrs {told!r}")
    found = {}
    for name, value in told.items():
        try:
            found[str(name)] = base64.b64decode(str(value), validate=True)
        except binascii.Error as error:
            raise ValueError(f"xattrs: {name} {value!r}") from error
    return found


def _or_else(look_up: Callable[[], T], default: T) -> T:
    try:
        return look_up()
    except KeyError:
        return default
