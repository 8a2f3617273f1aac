"""WAL for a server in recovery: fetched ahead by this process, delivered by a small shell script.

The server never talks to a repository. ``WalPrefetcher`` fills a directory ahead of what the server asks for; the server's
``restore_command`` only looks there. So replay does not wait for a store, and no fault of a store can look like the end of WAL:
the script says "not there" only for a name that is not on the list of what the repositories hold.

Layout of the directory, all of it owned by the server's user:

    expected        the names that exist, one a line, ending in END_OF_LIST; complete before anything is delivered
    segment-bytes   how long every segment is
    ready/<name>    fetched, complete
    asked           a FIFO: the script writes each name that is asked for; that it can be opened proves that we live
    requests        a log, one "<name> <answer> <server process>" a line, from which the end of replay is read
    error           exists when fetching has failed for good
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shlex
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from understudy.repository.fetch_wal_script import END_OF_LIST, FETCH_WAL, NOT_THERE
from understudy.repository.sealing import close
from understudy.repository.wal_requests import WalRequest, parse_requests
from understudy.repository.wal_staging import STAGING_FAULTS, LaidDown, WalStaging, place_fault
from understudy.repository.wal_window import WalWindow
from understudy.vocabulary.errors import GiveUp, TryAgain, UnderstudyError
from understudy.vocabulary.wal import WalSegment, is_segment_name, timeline_of_history_file

DEFAULT_WINDOW_SEGMENTS = 16
_POLL_MILLISECONDS = 500


class SegmentArchive(Protocol):
    """Where WAL comes from, decoded.

    Failures: ``TryAgain`` for what passes by itself; ``GiveUp`` when it never will (absent after all, or damaged).
    """

    def fetch_segment(self, segment: WalSegment) -> Iterable[bytes]:
        """Exactly ``segment.size_bytes``, in pieces; a tail is padded with zeros."""
        ...

    def fetch_history(self, timeline: int) -> bytes: ...


BeforeReady = Callable[[WalSegment, LaidDown], None]
"""Told of each segment before the server can have it, by several threads at once. What it raises is a fault of the segment."""


def see_nothing(segment: WalSegment, content: LaidDown) -> None:
    """Where nobody looks into the segments."""


class WalPrefetcher:
    """Context manager: fetches while it is open. The directory can be used again by the next one, after a crash too."""

    def __init__(
        self,
        archive: SegmentArchive,
        expected: Sequence[str],
        directory: Path,
        *,
        owner: tuple[int, int],
        segment_bytes: int,
        workers: int = 2,
        window: int = DEFAULT_WINDOW_SEGMENTS,
        before_ready: BeforeReady = see_nothing,
    ) -> None:
        """``expected``: the names of segments and history files that exist, in the order of replay.

        ``owner``: user and group id of the server that will read here. ``window``: segments on disk ahead of the server.
        """
        segments = tuple(name for name in expected if is_segment_name(name))
        self._histories = tuple(name for name in expected if timeline_of_history_file(name) is not None)
        if len(segments) + len(self._histories) != len(expected) or len(set(expected)) != len(expected):
            raise ValueError("expected names segments and history files, each once")
        self._archive = archive
        self._expected = tuple(expected)
        self._directory = directory
        self._staging = WalStaging(directory, owner)
        self._segment_bytes = segment_bytes
        self._workers = workers
        self._before_ready = before_ready
        self._window = WalWindow(segments, window)
        self._changed = threading.Condition()
        self._closing = threading.Event()
        self._failure: UnderstudyError | None = None
        self._unusable: dict[str, GiveUp] = {}
        """What cannot be had, and why. It ends nothing before the server asks for it: its target may lie before that."""
        self._to_see_first: list[str] = []
        """What a server of an earlier attempt has already, or asked for: looked at one by one before it gets any more, because
        what begins in one segment may end in the next."""
        self._passing: TryAgain | None = None
        self._fetched = 0
        self._stale: set[str] = set()
        """Segments of which more is stored by now than lies ready."""
        self._requests: list[WalRequest] = []
        self._log_read_bytes = 0
        """So much of the log is parsed: it grows with every request, and is looked at several times a second."""

    @property
    def restore_command(self) -> str:
        """For ``postgresql.conf``: 1 only for what is not there, 255 for every fault, on which the server stops."""
        script, directory = (shlex.quote(str(path)).replace("%", "%%") for path in (self._script, self._directory))
        return f'/bin/sh {script} {directory} %f "%p" $PPID; case $? in 0) exit 0;; {NOT_THERE}) exit 1;; *) exit 255;; esac'

    @property
    def trouble(self) -> TryAgain | None:
        """The passing fault that fetching is held up by just now, for people."""
        return self._passing

    @property
    def fetched(self) -> int:
        """How many segments and history files have come so far."""
        return self._fetched

    def raise_if_failed(self) -> None:
        """Raises the final fault that ended fetching, if one did; a file that cannot be had does once the server asks for it."""
        if self._failure is not None:
            raise self._failure

    def requests(self) -> tuple[WalRequest, ...]:
        """What servers asked for here so far, and were answered."""
        fresh, newline, _ = (self._staging.read("requests", self._log_read_bytes) or b"").rpartition(b"\n")
        self._log_read_bytes += len(fresh) + len(newline)
        self._requests += parse_requests(fresh + newline)
        return tuple(self._requests)

    def leave(self, names: Sequence[str], between_tries: Callable[[], None]) -> None:
        """See that these segments lie ready, and stay so when this is closed; names that are not expected count for nothing.

        A server decodes WAL ahead of what it replays (manual, ``recovery_prefetch``). Stopped at its target and promoted, it
        reads its last record again, and asks for a segment that lies several behind the one it asked for last.

        A passing fault is waited out here as it is elsewhere; ``between_tries`` may tell of ``trouble``, and raise to end it.
        """
        with self._changed:
            known = self._window.leave(names)
        for name in known:
            fault = None if self._staging.is_ready(name) else self._fetch(name, between_tries)
            if fault is not None:
                raise fault

    def extend(self, names: Sequence[str]) -> None:
        """These segments and history files are there now, too, behind all that were expected before. For a server that follows
        what goes on being stored; only while this is open. Raises as ``WalStaging.held`` does.
        """
        with self._changed:
            fresh = [name for name in names if name not in self._expected]
            if not fresh:
                return
            self._expected += tuple(fresh)
            self._histories += tuple(name for name in fresh if not is_segment_name(name))
            self._window.extend([name for name in fresh if is_segment_name(name)])
            self._changed.notify_all()
        self._write_expected()

    def renew(self, name: str) -> None:
        """More of this segment is stored than when it was fetched: it is fetched once more, and until then delivered as it is."""
        with self._changed:
            self._stale.add(name)
            self._unusable.pop(name, None)
            self._changed.notify_all()

    def nameless_file(self) -> contextlib.AbstractContextManager[int]:
        """A descriptor of an empty file on the same disk. Only while this is open; raises as ``WalStaging.held`` does."""
        return self._staging.nameless()

    def __enter__(self) -> WalPrefetcher:
        with contextlib.ExitStack() as undo:
            undo.enter_context(self._staging.held())
            self._prepare()
            asked = undo.enter_context(self._staging.fifo("asked"))
            threads = [threading.Thread(target=self._listen, args=(asked,), name="wal-requests", daemon=True)]
            threads += [
                threading.Thread(target=self._work, name=f"wal-fetch-{number}", daemon=True) for number in range(self._workers)
            ]
            started: list[threading.Thread] = []
            undo.callback(self._end, started)
            for thread in threads:
                thread.start()
                started.append(thread)
            self._exit = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._exit.close()

    def _end(self, started: Sequence[threading.Thread]) -> None:
        self._closing.set()
        with self._changed:
            self._changed.notify_all()
        for thread in started:
            thread.join()

    @property
    def _script(self) -> Path:
        return self._directory / "fetch-wal"

    def _prepare(self) -> None:
        self._staging.remove("error")
        if self._staging.read("requests") is None:
            self._staging.write("requests", b"")
        asked = [request.name for request in self.requests()]
        self._window.move_to(asked)
        self._to_see_first = self._window.newest_asked() if asked and self._before_ready is not see_nothing else []
        self._staging.write("segment-bytes", f"{self._segment_bytes}\n".encode())
        self._staging.write(self._script.name, FETCH_WAL.encode())
        self._write_expected()

    def _write_expected(self) -> None:
        self._staging.write("expected", "\n".join([*self._expected, END_OF_LIST, ""]).encode())

    def _listen(self, asked: int) -> None:
        poller = select.poll()
        poller.register(asked, select.POLLIN)
        rest = b""
        with self._recording_faults():
            while not self._closing.is_set():
                if not poller.poll(_POLL_MILLISECONDS):
                    continue
                *lines, rest = (rest + os.read(asked, 1 << 16)).split(b"\n")
                self._move_to([line.decode(errors="replace") for line in lines])

    def _move_to(self, asked_for: Sequence[str]) -> None:
        """The window to the newest of these requests, and away with what has come to lie outside of it."""
        with self._changed:
            fault = next((self._unusable[name] for name in asked_for if name in self._unusable), None)
            if fault is None and self._window.move_to(asked_for):
                kept = self._window.kept()
                self._changed.notify_all()
                for name in self._staging.ready():
                    if is_segment_name(name) and name not in kept:
                        self._staging.take_away(name)
        if fault is not None:
            self._fail(fault)

    def _work(self) -> None:
        with self._recording_faults():
            while (name := self._next()) is not None:
                fault = self._fetch(name)
                with self._changed:
                    if fault is not None:
                        self._unusable[name] = fault
                    self._window.in_progress.discard(name)
                    seen_first = name in self._to_see_first
                    if seen_first:
                        self._to_see_first.remove(name)
                    self._changed.notify_all()
                if fault is not None and seen_first:
                    self._fail(fault)

    @contextlib.contextmanager
    def _recording_faults(self) -> Iterator[None]:
        """No fault may leave a server waiting for a thread that has ended."""
        self_made: UnderstudyError | None = GiveUp(
            "wal_fetching_broke",
            found=f"a thread that fetches WAL into {self._directory} ended unexpectedly; its traceback is in our log",
            expected="that faults are foreseen",
            hint="start again, and report this as a defect of Understudy",
        )
        try:
            yield
            self_made = None
        except UnderstudyError as error:
            self_made = error
        except OSError as error:
            self_made = place_fault(self._directory, error)
        finally:
            if self_made is not None:
                self._fail(self_made)

    def _next(self) -> str | None:
        """The first name that should be on disk and is not; waits for one. None when it is time to end."""
        with self._changed:
            while not self._closing.is_set() and self._failure is None:
                for name in self._to_see_first[:1] or (*self._histories, *self._window.wanted()):
                    passed_over = name in self._window.in_progress or name in self._unusable
                    if not passed_over and (name in self._stale or not self._staging.is_ready(name)):
                        self._window.in_progress.add(name)
                        self._stale.discard(name)
                        return name
                self._changed.wait()
            return None

    def _fetch(self, name: str, between_tries: Callable[[], None] = lambda: None) -> GiveUp | None:
        """Returns why it cannot be had, and raises what is wrong here."""
        try:
            with contextlib.ExitStack() as undo:
                laid_down: list[LaidDown] = []

                def lay_down() -> None:
                    laid_down.append(undo.enter_context(self._staging.laid_down(name, self._pieces(name))))

                def look() -> None:
                    if is_segment_name(name):
                        self._before_ready(WalSegment.parse(name, self._segment_bytes), laid_down[-1])

                if self._patiently(lay_down, between_tries) and self._patiently(look, between_tries):
                    self._staging.make_ready(name)
                    self._fetched += 1
        except GiveUp as final:
            self._passing = None
            if final.code in STAGING_FAULTS:
                raise
            return final
        return None

    def _patiently(self, work: Callable[[], None], between_tries: Callable[[], None]) -> bool:
        """Until it passes; False where it is time to end before that."""
        while not self._closing.is_set():
            try:
                work()
            except TryAgain as passing:
                self._passing = passing
                between_tries()
                self._closing.wait(passing.after.total_seconds())
            else:
                self._passing = None
                return True
        return False

    def _pieces(self, name: str) -> Iterator[bytes]:
        timeline = timeline_of_history_file(name)
        if timeline is not None:
            yield self._archive.fetch_history(timeline)
            return
        size_bytes, fetched = 0, self._archive.fetch_segment(WalSegment.parse(name, self._segment_bytes))
        try:
            for piece in fetched:
                size_bytes += len(piece)
                yield piece
        finally:
            close(fetched)
        if size_bytes != self._segment_bytes:
            raise GiveUp(
                "segment_size_wrong",
                found=f"WAL segment {name} has {size_bytes} bytes",
                expected=f"{self._segment_bytes}",
                hint="the object in the repository is damaged: run understudy verify, and use another repository's copy",
            )

    def _fail(self, error: UnderstudyError) -> None:
        with self._changed:
            if self._failure is not None:
                return
            self._failure = error
            self._changed.notify_all()
        with contextlib.suppress(UnderstudyError):  # on a full disk the script answers 255 all the same, once we have ended
            self._staging.write("error", json.dumps({"code": error.code, "found": error.found}).encode())
