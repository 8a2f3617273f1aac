"""What a restore may have written, for removing that and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

from understudy.repository.snapshots.catalog import OpenedSnapshot
from understudy.repository.snapshots.listing import key_bytes
from understudy.repository.snapshots.reading_index import ReadingIndex, is_loaded, reading_purpose
from understudy.repository.snapshots.scratch import Scratch
from understudy.repository.snapshots.selection import Selection
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.identifiers import SnapshotLabel


class RestoredKeys:
    """Used in a ``with``. Told by the scratch file that the restore left: the repository may be away, which may be why it
    failed, and is asked only where that file is gone.
    """

    def __init__(
        self, index: Path, url: str, label: SnapshotLabel, select: Selection, opened: Callable[[], OpenedSnapshot]
    ) -> None:
        """Nothing is opened now.

        Args:
            index, select: As ``restore_snapshot`` was given them.
            url, label: Of the repository, and of the snapshot in it.
        """
        self._index, self._select, self._opened = index, select, opened
        self._purpose = reading_purpose(url, label, select)
        self._held: Scratch | None = None

    def __enter__(self) -> RestoredKeys:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._held is not None:
            self._held.__exit__(kind, error, trace)

    def hold(self, key: str) -> bool:
        """
        Raises:
            GiveUp: ``scratch_unusable``; as ``OpenedSnapshot.listing`` does.
            TryAgain: what the store raises.
        """
        if self._held is None:
            self._held = self._loaded()
        return self._held.number("select count(*) from entries where changed = 1 and key = ?", (key_bytes(key),)) > 0

    def _loaded(self) -> Scratch:
        left = Scratch(self._index, self._purpose)
        if is_loaded(left):
            return left
        left.__exit__(None, None, None)
        wanted = ReadingIndex(self._index, self._opened(), self._select)
        try:
            wanted.load()
        except Refusal:  # nothing of that name is in it: nothing was written
            wanted.run("delete from entries")
        except BaseException:
            wanted.__exit__(None, None, None)
            raise
        return wanted
