"""``ports.Places`` on this host's file systems.

A directory is always meant as what it is, not how it is called: symbolic links are followed first, so that a data directory that
lives on another disk behind a link stays there.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from understudy.adapters.files.incoming import flush_directory
from understudy.adapters.places.markers import Stood, read_marker, read_stood, remove_marker, replace_marker, write_marker
from understudy.ports.places import PlaceFacts, is_marker
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.identifiers import RunId

_MODE = 0o700
_MODE_OF_PARENTS = 0o755
_LOST_AND_FOUND = "lost+found"


class LocalPlaces:
    def facts(self, directory: str) -> PlaceFacts:
        path = _resolved(directory)
        with _faults_of(path):
            standing = _nearest_existing(path)
            usage = os.statvfs(standing)
            return PlaceFacts(
                exists=path.exists(),
                empty=path.is_dir() and not _holds_something(path),
                claimed_by=read_marker(path),
                free_bytes=usage.f_bavail * usage.f_frsize,
                file_system=standing.stat().st_dev,
            )

    def claim(self, directory: str, run: RunId, owner: tuple[int, int] | None = None) -> None:
        path = _resolved(directory)
        with _faults_of(path):
            stood = Stood.of(path) if path.is_dir() else None
            _make(path)
            if (claimed_by := read_marker(path)) != run:
                if claimed_by is None and _holds_something(path):
                    raise _not_empty(path, "it holds files")
                if not write_marker(path, run, owner, stood) and (claimed_by := read_marker(path)) != run:
                    raise _claimed(path, claimed_by)
            _close_to_others(path, owner)

    def release(self, directory: str, run: RunId) -> None:
        path = _resolved(directory)
        with _faults_of(path):
            found = read_marker(path)
            if found is None:
                return
            if found != run:
                raise _not_ours(path, found, run)
            remove_marker(path)

    def set_aside(self, directory: str, run: RunId, *, quarantined: bool = False) -> str | None:
        path = _resolved(directory)
        aside = _beside(path, run, quarantined=quarantined)
        with _faults_of(path):
            stands_there = _holds_something(path) and read_marker(path) != run
            if not stands_there:
                return str(aside) if aside.exists() else None
            if path.is_mount():
                raise Refusal(
                    "target_is_mount_point",
                    found=f"{path} is a mount point and holds files",
                    expected="a directory that can be renamed, or an empty one",
                    hint=f"a mount point cannot be renamed: empty {path} yourself, or restore into a directory below it",
                )
            if aside.exists():
                raise _not_empty(path, f"it holds files, and an earlier content was already set aside as {aside}")
            path.rename(aside)
            flush_directory(path.parent)
        return str(aside)

    def aside(self, directory: str, run: RunId) -> str | None:
        path = _resolved(directory)
        with _faults_of(path):
            there = (aside for aside in (_beside(path, run), _beside(path, run, quarantined=True)) if aside.exists())
            return next(map(str, there), None)

    def put_in_place(self, source: str, made_by: RunId, directory: str, run: RunId) -> None:
        path, made = _resolved(directory), _resolved(source)
        with _faults_of(path):
            if not made.exists():
                if read_marker(path) == run and _holds_something(path):
                    return
                raise _source_missing(made, path)
            found = read_marker(made)
            if found not in (made_by, run):
                raise _not_ours(made, found, made_by)
            if _holds_something(path):
                raise _not_empty(path, "it holds files")
            if (claimed_by := read_marker(path)) not in (None, run):
                raise _claimed(path, claimed_by)
            replace_marker(made, run)
            if path.exists():
                remove_marker(path)
            made.rename(path)
            for parent in {path.parent, made.parent}:
                flush_directory(parent)

    def remove(self, directory: str, run: RunId) -> bool:
        path = _resolved(directory)
        doomed = path.with_name(f"{path.name}.removing-{_in_a_name(run)}")
        with _faults_of(path):
            finished = _finish_removing(doomed)
            found = read_marker(path)
            if found is None and not _holds_something(path) and (not path.exists() or path.is_mount()):
                return finished
            if found != run:
                raise _not_ours(path, found, run)
            if path.is_mount():
                _empty(path)
                remove_marker(path)
                return True
            path.rename(doomed)
            flush_directory(path.parent)
            return _finish_removing(doomed)

    def give_back(self, directory: str, run: RunId) -> bool:
        """As ``remove``; but a directory that stood there when it was claimed stays, empty, with the owner and mode of then."""
        path = _resolved(directory)
        with _faults_of(path):
            stood = read_stood(path) if read_marker(path) == run else None
            if stood is None:
                return self.remove(directory, run)
            _empty(path)
            _put_back(path, stood)
            remove_marker(path)
            return True


def _resolved(directory: str) -> Path:
    """
    Raises:
        Refusal: ``directory_not_absolute``; the root directory counts as no directory to work in.
    """
    path = Path(directory)
    if not path.is_absolute() or path.resolve() == Path("/"):
        raise Refusal(
            "directory_not_absolute",
            found=f"the directory {directory!r}",
            expected="an absolute path below the root directory",
            hint="write the whole path, such as /var/lib/postgresql/orders",
        )
    return path.resolve()


def _beside(path: Path, run: RunId, *, quarantined: bool = False) -> Path:
    """Where that is set aside which stands in the way of this run."""
    return path.with_name(f"{path.name}.{'quarantined' if quarantined else 'before'}-{_in_a_name(run)}")


def _in_a_name(run: RunId) -> str:
    if not run or "/" in run or "\0" in run:
        raise ValueError(f"a run id becomes part of a file name; {run!r} cannot")
    return run


def _nearest_existing(path: Path) -> Path:
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())


def _make(path: Path) -> None:
    if path.is_dir():
        return
    if path.exists():
        raise _not_empty(path, "it is a file")
    missing = [candidate for candidate in (path, *path.parents) if not candidate.exists()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.mkdir(mode=_MODE, exist_ok=True)
    for made in missing:
        if made != path:
            made.chmod(_MODE_OF_PARENTS)  # whatever the umask: the server's user must be able to pass
        flush_directory(made.parent)


def _close_to_others(path: Path, owner: tuple[int, int] | None) -> None:
    """Of the directory itself: a link that was put in its place meanwhile is refused, not followed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(descriptor, _MODE)
        if owner is not None:
            os.fchown(descriptor, *owner)
    finally:
        os.close(descriptor)


def _put_back(path: Path, stood: Stood) -> None:
    """Only what differs: who may not change an owner did not change it either."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        seen = os.fstat(descriptor)
        if (seen.st_uid, seen.st_gid) != (stood.uid, stood.gid):
            os.fchown(descriptor, stood.uid, stood.gid)
        os.fchmod(descriptor, stood.mode)
    finally:
        os.close(descriptor)


def _contents(path: Path) -> list[Path]:
    """What lies in a directory, markers aside. ``lost+found`` belongs to the file system of a mount point, not to its user."""
    mounted = path.is_mount()
    return [each for each in path.iterdir() if not is_marker(each.name) and not (mounted and each.name == _LOST_AND_FOUND)]


def _holds_something(path: Path) -> bool:
    if not path.is_dir():
        return path.exists()
    return bool(_contents(path))


def _finish_removing(doomed: Path) -> bool:
    """Whether it was there. Its name says whose it is, so that a crash after the marker is gone leaves nothing behind."""
    if not doomed.is_dir():
        return False
    _empty(doomed)
    for marker in doomed.iterdir():
        marker.unlink()
    doomed.rmdir()
    flush_directory(doomed.parent)
    return True


def _empty(path: Path) -> None:
    """Everything but the markers. Links are removed, never followed: a tablespace behind one is not ours by that."""
    for each in _contents(path):
        if each.is_dir() and not each.is_symlink():
            _open_to_ourselves(each)
            shutil.rmtree(each)
        else:
            each.unlink(missing_ok=True)
    flush_directory(path)


def _open_to_ourselves(path: Path) -> None:
    """Directories that a restore closed to writing: whoever is not root could not empty them either."""
    for where, _, _ in os.walk(path):
        if not os.access(where, os.W_OK):
            Path(where).chmod(_MODE)


@contextlib.contextmanager
def _faults_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = error.filename or path
        hints = {
            errno.EACCES: "run this as root, or as the user that owns the directory above",
            errno.EPERM: "run this as root, or as the user that owns the directory above",
            errno.ENOSPC: "free space there, and start again",
            errno.EROFS: "the file system is mounted read-only: see dmesg for the reason",
            errno.EBUSY: "something is mounted below it: unmount it, and start again",
        }
        raise GiveUp(
            "place_denied" if error.errno in (errno.EACCES, errno.EPERM) else "place_fault",
            found=f"{where}: {error.strerror or error}",
            expected="that the directory can be made, read, renamed and removed",
            hint=hints.get(error.errno or 0, "look at the directory and its file system, and start again"),
        ) from error


def _not_empty(path: Path, found: str) -> Refusal:
    return Refusal(
        "target_not_empty",
        found=f"{path}: {found}",
        expected="an empty directory, or one that bears this run's own marker",
        hint="choose another directory, or move away what is there; Understudy never overwrites it",
    )


def _source_missing(source: Path, path: Path) -> GiveUp:
    return GiveUp(
        "source_missing",
        found=f"{source} is not there, nor is {path} what came of it",
        expected="the directory that is to be put in its place",
        hint="somebody moved or removed it",
    )


def _claimed(path: Path, by: RunId | None) -> Refusal:
    return Refusal(
        "target_not_empty",
        found=f"{path} is claimed by run {by or '(unreadable marker)'}",
        expected="an empty directory, or one that bears this run's own marker",
        hint=f"what became of that run: understudy show {by}; go on with it: understudy resume {by}; or end it, which removes "
        f"what it made: understudy cancel {by}"
        if by
        else f"nobody can tell whose {path} is: choose another directory",
    )


def _not_ours(path: Path, found: RunId | None, run: RunId) -> Refusal:
    return Refusal(
        "not_ours",
        found=f"{path} bears {'no marker' if found is None else f'the marker of run {found!r}'}",
        expected=f"the marker of run {run!r}",
        hint="Understudy removes only what this run made; remove it yourself if it is no longer needed",
    )
