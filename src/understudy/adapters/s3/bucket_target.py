"""``CollectionTarget`` over a bucket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from understudy.adapters.s3.collection_faults import target_fault, target_faults
from understudy.adapters.s3.facts import parameters_of, tags_of
from understudy.adapters.s3.place import BucketPlace
from understudy.ports.collection import Entry, EntryKind, FirstHundred
from understudy.ports.places import MARKER_NAME
from understudy.vocabulary.errors import GiveUp, Refusal, UnderstudyError
from understudy.vocabulary.identifiers import RunId
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.s3.wire import Dress

_LONGEST_KEY_BYTES = 1024
_MOST_PARTS = 9_000
"""S3 takes 10,000; a little is left for what has grown since it was listed."""
_MIB = 1024 * 1024
_WORN_BY_THE_MARK: JsonObject = {
    "content_type": "application/vnd.understudy.run",
    "cache_control": "no-store",
    "content_disposition": "inline",
    "content_encoding": "identity",
    "content_language": "en",
    "expires": "Thu, 01 Jan 2099 00:00:00 GMT",
    "metadata": {"understudy": "run"},
    "tags": {"understudy": "run"},
}
"""Everything that an object can be given: so the mark shows what this store does not keep."""


class BucketTarget:
    """A bucket, or what lies below a prefix of it, of which this run claims everything. The bucket exists already."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        access_key: Secret | None = None,
        secret_key: Secret | None = None,
        region: str | None = None,
    ) -> None:
        """Nothing is asked of the store now. Arguments as of ``S3Store``."""
        self._place = BucketPlace(bucket, prefix, endpoint, region, access_key, secret_key)
        self._mark = self._place.folder + MARKER_NAME
        self._fell_short = FirstHundred()
        self._not_kept: tuple[str, ...] = ()

    @property
    def url(self) -> str:
        return self._place.url

    def claim(self, run: RunId) -> None:
        with target_faults(self.url):
            self._place.wire.require_bucket()
            bears = self._bears()
            if bears is None:
                if any(page.objects for page in self._place.wire.pages(self._place.folder)):
                    raise self._not_empty("it holds objects")
                self._put_mark(run)
                bears = self._bears()  # of two that come at once, one wins
            elif bears == run:
                self._give_up_uploads(_any)
            if bears != run:
                raise self._not_empty(f"it bears the mark of run {bears or '(unreadable)'}")
            self._not_kept = self._forgotten()

    def takes(self, entry: Entry) -> bool:
        """Below the prefix that it came from, the "folder" object had the name of that prefix; a whole bucket has none for it."""
        if self._place.folder or entry.key or entry.kind is not EntryKind.FILE:
            return True
        self._fell_short.add("'': the object that stands for the folder itself, which a whole bucket has no name for")
        return False

    def write(self, entry: Entry, content: Iterable[bytes]) -> None:
        """Tags follow in a request of their own: a store that declines one, of another store's making, still gets the object."""
        from understudy.adapters.s3.uploads import Upload

        full, parameters, left_out = self._understood(entry)
        source = _Content(content)
        try:
            wire = self._place.wire
            Upload(wire, full, parameters, replaces=True, part_bytes=_part_bytes(entry.size_bytes)).send(source)
            if "tags" not in self._not_kept and (tags := tags_of(entry.attributes)):
                left_out += self._tagged(full, tags)
        except UnderstudyError as error:
            if error is source.failed:
                raise
            raise target_fault(self.url, entry.key, error) from error
        for missing in (*left_out, *(name for name in self._not_kept if entry.attributes.get(name))):
            self._fell_short.add(f"{entry.key}: {missing.replace('_', ' ')}")

    def read_back(self, entry: Entry) -> Iterator[bytes]:
        with target_faults(self.url):
            wire = self._place.wire
        from understudy.adapters.s3.reading import read_resuming

        pieces = read_resuming(wire, self._place.folder + entry.key, 0)
        while True:
            with target_faults(self.url, entry.key):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def flush(self) -> None:
        """What the store acknowledged is durable."""

    def finish(self, entries: Iterable[Entry], run: RunId) -> None:
        with target_faults(self.url):
            bears = self._bears()
            if bears not in (None, run):
                raise self._not_empty(f"it bears the mark of run {bears or '(unreadable)'}")
            if bears is not None:
                self._place.wire.delete(self._mark)

    def abandon(self, run: RunId, ours: Callable[[str], bool]) -> tuple[str, ...] | None:
        with target_faults(self.url):
            if self._bears() != run:
                return None
            wire = self._place.wire
            pages = wire.pages(self._place.folder)
        left = FirstHundred()
        while True:
            with target_faults(self.url):
                page = next(pages, None)
            if page is None:
                break
            for key in (found.key for found in page.objects if found.key != self._mark):
                if ours(key.removeprefix(self._place.folder)):
                    with target_faults(self.url):
                        wire.delete(key)
                else:
                    left.add(key.removeprefix(self._place.folder))
        self._give_up_uploads(ours)
        with target_faults(self.url):
            wire.delete(self._mark)
        return left.told()

    def fell_short(self) -> tuple[str, ...]:
        return self._fell_short.told()

    def _understood(self, entry: Entry) -> tuple[str, Dress, list[str]]:
        full = self._place.folder + entry.key
        try:
            if entry.kind is not EntryKind.FILE:
                raise ValueError(f"a {entry.kind.value} is no object")
            if entry.key == MARKER_NAME or not 0 < len(full.encode()) <= _LONGEST_KEY_BYTES:
                raise ValueError("no key of an object")
            tags_of(entry.attributes)
            return full, *parameters_of(entry.attributes)
        except ValueError as error:
            raise GiveUp(
                "entry_refused",
                found=f"{entry.key!r}: {error}",
                expected="a key of at most 1024 bytes in UTF-8, with attributes that an object can have",
                hint="no bucket that was read has such an entry: it was kept from something else (restore it to what it came "
                "from), or somebody made the snapshot up (look at who may write to the repository)",
            ) from error

    def _tagged(self, full: str, tags: Mapping[str, str]) -> list[str]:
        try:
            self._place.wire.put_tags(full, tags)
        except GiveUp as error:
            return [f"tags ({error.found})"]
        return []

    def _bears(self) -> RunId | None:
        """Whose the bucket is. A mark that cannot be understood is somebody's, but of no run that exists."""
        from understudy.adapters.s3.reading import read_resuming

        try:
            content = json.loads(b"".join(read_resuming(self._place.wire, self._mark, 0)))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        except ValueError:
            return RunId("")
        run = content.get("run") if isinstance(content, dict) else None
        return RunId(run if isinstance(run, str) else "")

    def _put_mark(self, run: RunId) -> None:
        from understudy.adapters.s3.uploads import Upload

        dress, _ = parameters_of(_WORN_BY_THE_MARK)
        tagged = {**dress, "Tagging": urlencode(tags_of(_WORN_BY_THE_MARK))}
        body = json.dumps({"run": run}).encode()
        try:
            Upload(self._place.wire, self._mark, tagged).send([body])
        except GiveUp as error:
            if error.code == "object_exists":  # somebody else came first: what it says decides
                return
            if error.code not in ("store_denied", "store_refused"):
                raise
            Upload(self._place.wire, self._mark, dress).send(
                [body]
            )  # tags need a right of their own, and not every store has them

    def _forgotten(self) -> tuple[str, ...]:
        """Which attributes of the mark are not there, or not as they were given."""
        found = self._place.wire.describe(self._mark)
        if found is None:
            return ()
        tags = self._place.wire.tags(self._mark) if found.has_tags else {}
        kept: JsonObject = {**found.attributes, "tags": tags}
        return tuple(name for name, value in _WORN_BY_THE_MARK.items() if kept.get(name) != value)

    def _give_up_uploads(self, ours: Callable[[str], bool]) -> None:
        """Those that an attempt was killed in the middle of: they would be paid for, and never be seen."""
        under_way: list[tuple[str, str]] = []
        with target_faults(self.url), suppress(GiveUp):  # a store that tells of none has none, or removes them itself
            under_way.extend(self._place.wire.uploads_under(self._place.folder))
        for key, upload in under_way:
            if ours(key.removeprefix(self._place.folder)):
                with target_faults(self.url), suppress(GiveUp):
                    self._place.wire.abort_upload(key, upload)

    def _not_empty(self, found: str) -> Refusal:
        return Refusal(
            "target_not_empty",
            found=f"{self.url}: {found}",
            expected="an empty bucket, or a prefix that nothing lies under",
            hint="choose another one; Understudy never overwrites what is there",
        )


class _Content:
    """A content on its way, which keeps what it failed with: that is no fault of the target."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.failed: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except BaseException as error:
            self.failed = error
            raise


def _any(_: str) -> bool:
    return True


def _part_bytes(size_bytes: int) -> int:
    from understudy.adapters.s3.uploads import PART_BYTES

    return max(PART_BYTES, (size_bytes // _MOST_PARTS // _MIB + 1) * _MIB)
