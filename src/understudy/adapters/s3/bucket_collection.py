"""``Collection`` over a bucket."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from understudy.adapters.s3.collection_faults import source_faults
from understudy.adapters.s3.facts import FoundObject, etag_of
from understudy.adapters.s3.place import BucketPlace
from understudy.adapters.trees.exclusion import Exclusion
from understudy.ports.collection import Entry, EntryKind
from understudy.ports.places import MARKER_NAME
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.secret import Secret

if TYPE_CHECKING:
    from understudy.adapters.s3.wire import Page

_ASKED_AT_ONCE = 16


class BucketCollection:
    """The objects of a bucket, or those below a prefix of it, as they are now: older versions are not looked at."""

    def __init__(
        self,
        bucket: str,
        prefix: str = "",
        endpoint: str | None = None,
        access_key: Secret | None = None,
        secret_key: Secret | None = None,
        region: str | None = None,
        exclude: Sequence[str] = (),
        *,
        ask_for_every_object: bool = False,
    ) -> None:
        """Nothing is asked of the store now.

        Args:
            endpoint, access_key, secret_key, region: As of ``S3Store``.
            exclude: Patterns as of ``Exclusion``.
            ask_for_every_object: At every snapshot, of what did not change, too. Otherwise a tag that was put on an object which
                had none at the last snapshot is found when the object itself has changed. It costs a request for each object.
        Raises:
            Refusal: ``exclude_invalid``.
        """
        self._place = BucketPlace(bucket, prefix, endpoint, region, access_key, secret_key)
        self._exclusion = Exclusion(exclude)
        self._ask_for_every_object = ask_for_every_object

    @property
    def url(self) -> str:
        return self._place.url

    def entries(self, known: Callable[[str], Entry | None] | None = None) -> Iterator[Entry]:
        with source_faults(self.url):
            pages = self._place.wire.pages(self._place.folder)
        pool = ThreadPoolExecutor(_ASKED_AT_ONCE, thread_name_prefix="bucket listing")
        try:
            while True:
                with source_faults(self.url):
                    page = next(pages, None)
                if page is None:
                    return
                yield from self._entries_of(page, pool, known)
        finally:
            pool.shutdown(cancel_futures=True)

    def passed_over(self) -> tuple[str, ...]:
        return ()

    def look(self, key: str) -> Entry | None:
        full = self._place.folder + key
        with source_faults(self.url, key):
            found = self._place.wire.describe(full) if full else None
            if found is None:
                self._place.wire.require_bucket()
                return None
            if not found.fingerprint:
                raise _without_etag(key)
            attributes = {**found.attributes}
            if found.has_tags:
                try:
                    attributes["tags"] = self._place.wire.tags(full)
                except GiveUp as error:
                    if error.code == "object_missing":  # removed between the two requests
                        return None
                    raise
        return Entry(key, EntryKind.FILE, found.size_bytes, found.fingerprint, attributes=attributes)

    def read(self, entry: Entry) -> Iterator[bytes]:
        from understudy.adapters.s3.reading import read_resuming

        with source_faults(self.url, entry.key):
            expected = (entry.size_bytes, etag_of(entry.fingerprint))
            pieces = read_resuming(self._place.wire, self._place.folder + entry.key, 0, expected)
        while True:
            with source_faults(self.url, entry.key):
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def _entries_of(self, page: Page, pool: ThreadPoolExecutor, known: Callable[[str], Entry | None] | None) -> Iterator[Entry]:
        asked = []
        keys = [found.key.removeprefix(self._place.folder) for found in page.objects]
        if MARKER_NAME in keys:
            raise _half_restored(self.url)
        for key, found in zip(keys, page.objects, strict=True):
            if self._exclusion.leaves_out(key):
                continue
            before = known(key) if known is not None else None
            if before is not None and self._is_told(before, found):
                yield before
            else:
                asked.append(pool.submit(self.look, key))
        for each in asked:
            entry = each.result()
            if entry is not None:
                yield entry

    def _is_told(self, before: Entry, found: FoundObject) -> bool:
        """Whether nothing about it can have changed: all but tags changes with the object's own time."""
        same = before.kind is EntryKind.FILE and before.fingerprint == found.fingerprint != ""
        return same and not before.attributes.get("tags") and not self._ask_for_every_object


def _half_restored(url: str) -> GiveUp:
    return GiveUp(
        "source_being_restored",
        found=f"{url} bears the mark of a restore, {MARKER_NAME}",
        expected="objects that are all there",
        hint=f"wait until that restore is through, or end it (understudy cancel RUN); what it is called stands in {MARKER_NAME}. "
        "Where no such run is left, take that object away",
    )


def _without_etag(key: str) -> GiveUp:
    return GiveUp(
        "source_unreadable",
        found=f"{key!r} has no ETag",
        expected="one, as S3 gives to every object: by it a change is noticed",
        hint="let rclone serve s3, or another store, stand before this one",
    )
