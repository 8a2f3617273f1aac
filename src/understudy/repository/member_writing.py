"""Writing one member of a backup's archive into the target, checked against the server's manifest while it passes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import google_crc32c

from understudy.ports.places import is_marker
from understudy.repository.incremental_files import apply_incremental, full_path, parent_in_label, without_parent_lines
from understudy.repository.restore_target import RestoreTarget, begin_writing_out, write_all
from understudy.repository.server_manifest import ManifestFile, ServerManifest, manifest_path
from understudy.repository.tar_stream import MemberKind, TarMember
from understudy.vocabulary.errors import GiveUp

_LABEL = "backup_label"
_TABLESPACE_MAP = "tablespace_map"
_LABEL_LIMIT_BYTES = 64 * 1024


class MemberWriter:
    """Writes members of one backup. Used by several threads at once, each with members of its own."""

    def __init__(self, manifest: ServerManifest, parent: ServerManifest | None, target: RestoreTarget) -> None:
        self._manifest = manifest
        self._parent = parent
        self._target = target

    def write(self, tablespace_oid: int | None, member: TarMember, content: Iterable[bytes]) -> str:
        """Write the member to its place; returns its path as the manifest names it.

        Raises:
            Refusal: ``tablespace_unmapped``.
            GiveUp: ``backup_file_unexpected``, ``backup_file_differs``, ``archive_member_refused`` (a symbolic link that is no
                tablespace's), ``incremental_parent_missing``, ``incremental_wrong_parent``, ``incremental_corrupt``.
        """
        path = manifest_path(tablespace_oid, member.path)
        if member.kind is MemberKind.DIRECTORY:
            self._target.make_directory(path)
        elif member.kind is MemberKind.SYMLINK:
            self._target.link_tablespace(_tablespace_of_link(path))
        else:
            self._write_file(path, member.size_bytes, content)
        return path

    def _write_file(self, path: str, size_bytes: int, content: Iterable[bytes]) -> None:
        listed = self._manifest.files.get(path)
        if listed is None:
            raise GiveUp(
                "backup_file_unexpected",
                found=f"{path!r} is in the backup",
                expected="only files that the server's manifest lists",
                hint="the part is not what the server sent: use another repository, or another backup",
            )
        checked = _Checksummed(content)
        full = full_path(path)
        if path == _TABLESPACE_MAP or is_marker(path):  # a marker of another run would take the place of this one's
            for _piece in checked:
                pass
        elif path == _LABEL and self._parent is not None:
            self._write_label(checked, self._parent)
        elif full is not None:
            self._apply(path, full, size_bytes, checked)
        else:
            with self._target.open_file(path) as descriptor:
                for piece in checked:
                    write_all(descriptor, piece)
        found = ManifestFile(size_bytes, checked.crc32c)
        if found != listed:
            raise GiveUp(
                "backup_file_differs",
                found=f"{path!r} came as {found}",
                expected=str(listed),
                hint="the part is not what the server sent: use another repository, or another backup",
            )

    def _apply(self, path: str, full: str, size_bytes: int, content: Iterable[bytes]) -> None:
        try:
            with self._target.open_file(full, keep_content=True) as descriptor:
                if apply_incremental(descriptor, path, size_bytes, content):
                    begin_writing_out(descriptor)
        except FileNotFoundError:
            raise GiveUp(
                "incremental_parent_missing",
                found=f"{path!r} is an increment of a file that the target does not hold",
                expected="the backups that this one stands on, restored first, full one first",
                hint="restore by this backup's label: its whole chain is then restored in order",
            ) from None

    def _write_label(self, content: Iterable[bytes], parent: ServerManifest) -> None:
        label = b"".join(content)
        if len(label) > _LABEL_LIMIT_BYTES:
            raise _wrong_parent(f"a backup_label of {len(label)} bytes", "one of a few hundred")
        try:
            stated = parent_in_label(label)
        except ValueError as error:
            raise _wrong_parent(f"a backup_label that cannot be read: {error}", "one that names its parent") from error
        starts = {(wal.start, wal.timeline) for wal in parent.wal_ranges}
        if stated is None or (stated.start, stated.timeline) not in starts:
            found = "a full backup" if stated is None else f"a backup that stands on {stated.start}, timeline {stated.timeline}"
            expected = ", ".join(f"{start}, timeline {timeline}" for start, timeline in sorted(starts))
            raise _wrong_parent(found, f"one that stands on {expected}")
        with self._target.open_file(_LABEL) as descriptor:
            write_all(descriptor, without_parent_lines(label))


class _Checksummed:
    """Passes pieces on and keeps their CRC32C."""

    def __init__(self, content: Iterable[bytes]) -> None:
        self._content = content
        self.crc32c = 0

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._content:
            self.crc32c = google_crc32c.extend(self.crc32c, piece)
            yield piece


def _tablespace_of_link(path: str) -> int:
    directory, _, name = path.rpartition("/")
    if directory != "pg_tblspc" or not name.isdigit():
        raise GiveUp(
            "archive_member_refused",
            found=f"{path!r}: a symbolic link",
            expected="links only for tablespaces, pg_tblspc/<oid>",
            hint="PostgreSQL writes no such archive: find out who did before restoring anything of this backup",
        )
    return int(name)


def _wrong_parent(found: str, expected: str) -> GiveUp:
    return GiveUp(
        "incremental_wrong_parent",
        found=found,
        expected=expected,
        hint="restore by this backup's label: its whole chain is then restored in order",
    )
