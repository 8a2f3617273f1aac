"""One request at a time, each tried a few times, each error turned into the port's."""

from __future__ import annotations

import base64
import hashlib
import random
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Protocol, TypeAlias, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from understudy.adapters.s3.facts import FoundObject, ObjectFacts, VersionFacts, bare_etag, lock_of
from understudy.adapters.s3.faults import (
    bucket_missing,
    fault_of,
    is_no_answer_of_s3,
    is_not_implemented,
    is_without_lock,
    tags_unknown,
    unreachable,
)
from understudy.adapters.s3.place import BucketPlace
from understudy.ports.object_store import StoredObject
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.locking import Lock, LockMode, LockRule

ATTEMPTS = 5
_FIRST_PAUSE_SECONDS = 0.1
_CONNECTIONS = 32
_ONLY_IF_ABSENT = {"IfNoneMatch": "*"}
_CONTENT_RANGE = re.compile(r"^bytes (\d+)-\d+/(\d+)$")

T = TypeVar("T")
Dress: TypeAlias = Mapping[str, str | Mapping[str, str] | datetime]
"""Parameters of a write besides the content: content type, metadata, tags, a lock."""
NO_DRESS: Dress = {}


class Stream(Protocol):
    def read(self, amt: int) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """A read's answer: ``stream`` holds the bytes from ``start`` on, of ``total`` that the object has."""

    start: int
    total: int
    etag: str
    """Without quotes."""
    stream: Stream


@dataclass(frozen=True, slots=True)
class Page:
    objects: tuple[FoundObject, ...]
    folders: tuple[str, ...]
    following: str | None


class Wire:
    def __init__(self, place: BucketPlace) -> None:
        self._bucket = place.bucket
        self._url = place.url
        self._takes_conditions = True
        self._client = boto3.client(
            "s3",
            endpoint_url=place.endpoint,
            region_name=place.region or "us-east-1",
            aws_access_key_id=place.access_key.reveal() if place.access_key else None,
            aws_secret_access_key=place.secret_key.reveal() if place.secret_key else None,
            config=Config(
                connect_timeout=5,
                read_timeout=30,
                max_pool_connections=_CONNECTIONS,
                # The retries are ours: what a lost answer to a write means, only the writer can tell.
                retries={"total_max_attempts": 1, "mode": "standard"},
                s3={"addressing_style": "path" if place.endpoint else "auto"},
                # Content-MD5 is sent instead: many stores that speak S3 do not know the newer checksums.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                user_agent_extra="understudy",
            ),
        )

    def head(self, key: str) -> StoredObject | None:
        """What lies there. A missing bucket looks like a missing object to this request."""
        try:
            answer = self._tried(f"looking at {key}", lambda: self._client.head_object(Bucket=self._bucket, Key=key))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        return StoredObject(key, int(answer["ContentLength"]))

    def describe(self, key: str) -> ObjectFacts | None:
        """All that is told of an object besides its content and its tags. A missing bucket looks like a missing object."""
        try:
            answer = self._tried(f"looking at {key}", lambda: self._client.head_object(Bucket=self._bucket, Key=key))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        return ObjectFacts.of(answer)

    def tags(self, key: str) -> Mapping[str, str]:
        """Only of objects that are said to have some: a store that knows no tags may answer with the whole object.

        Raises:
            GiveUp: ``tags_unknown``.
        """
        doing = f"asking for the tags of {key}"
        try:
            answer = self._tried(doing, lambda: self._client.get_object_tagging(Bucket=self._bucket, Key=key))
        except TryAgain as error:
            if is_no_answer_of_s3(error):
                raise tags_unknown(error.found) from error
            raise
        if "TagSet" not in answer:
            raise tags_unknown(f"{doing}: the answer holds none")
        return {str(each["Key"]): str(each["Value"]) for each in answer["TagSet"]}

    def put_tags(self, key: str, tags: Mapping[str, str]) -> None:
        """Only in a store that is known to keep them: another one may take this for the object's new content."""
        named = [{"Key": name, "Value": value} for name, value in tags.items()]
        self._tried(
            f"tagging {key}",
            lambda: self._client.put_object_tagging(Bucket=self._bucket, Key=key, Tagging={"TagSet": named}),
        )

    def require_bucket(self) -> None:
        try:
            self._tried("looking at the bucket", lambda: self._client.head_bucket(Bucket=self._bucket))
        except GiveUp as error:
            if error.code == "object_missing":
                raise bucket_missing(error.found, self._url) from error
            raise

    def put(self, key: str, body: bytes, dress: Dress = NO_DRESS, *, replaces: bool = False) -> None:
        """Refused where something lies there, by a store that honours the condition. One attempt, not more: see ``Upload``."""
        self._written(
            f"writing {key}",
            lambda condition: self._client.put_object(
                Bucket=self._bucket, Key=key, Body=body, ContentMD5=_md5(body), **dress, **condition
            ),
            replaces,
        )

    def begin_upload(self, key: str, dress: Dress = NO_DRESS) -> str:
        answer = self._tried(
            f"writing {key}", lambda: self._client.create_multipart_upload(Bucket=self._bucket, Key=key, **dress)
        )
        return str(answer["UploadId"])

    def put_part(self, key: str, upload: str, number: int, body: bytes) -> str:
        """Returns the part's ETag. A part that is sent twice replaces itself."""
        answer = self._tried(
            f"writing {key}, part {number}",
            lambda: self._client.upload_part(
                Bucket=self._bucket, Key=key, UploadId=upload, PartNumber=number, Body=body, ContentMD5=_md5(body)
            ),
        )
        return str(answer["ETag"])

    def complete_upload(self, key: str, upload: str, etags: Sequence[str], *, replaces: bool = False) -> None:
        """As ``put``."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, start=1)]
        self._written(
            f"completing {key}",
            lambda condition: self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **condition
            ),
            replaces,
        )

    def abort_upload(self, key: str, upload: str) -> None:
        self._tried(
            f"giving up {key}", lambda: self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload)
        )

    def uploads_under(self, prefix: str) -> Iterator[tuple[str, str]]:
        """Keys and names of the uploads that were begun and neither completed nor given up; at most a thousand."""
        answer = self._tried(
            f"looking for uploads below {prefix}",
            lambda: self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix),
        )
        for each in answer.get("Uploads", ()):
            yield str(each["Key"]), str(each["UploadId"])

    def get(self, key: str, offset: int, etag: str = "") -> Answer:
        """One attempt: the reader counts its own. With ``etag`` only that very object, by a store that honours the condition."""
        span = {"Range": f"bytes={offset}-"} if offset else {}
        span |= {"IfMatch": f'"{etag}"'} if etag else {}
        answer = self._once(f"reading {key}", lambda: self._client.get_object(Bucket=self._bucket, Key=key, **span))
        length = int(answer["ContentLength"])
        # A server that does not know ranges answers with the whole; one known here answers 200 to a range it honours.
        found = _CONTENT_RANGE.match(str(answer.get("ContentRange", "")))
        start, total = (int(found.group(1)), int(found.group(2))) if found else (0, length)
        return Answer(start, total, bare_etag(answer), answer["Body"])

    def read_piece(self, key: str, stream: Stream, size_bytes: int) -> bytes:
        return self._once(f"reading {key}", lambda: stream.read(size_bytes))

    def page(self, prefix: str, following: str | None, delimiter: str = "") -> Page:
        more = ({"ContinuationToken": following} if following else {}) | ({"Delimiter": delimiter} if delimiter else {})
        answer = self._tried(
            f"listing {prefix}", lambda: self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, **more)
        )
        return Page(
            tuple(FoundObject.of(each) for each in answer.get("Contents", ())),
            tuple(str(each["Prefix"]) for each in answer.get("CommonPrefixes", ())),
            str(answer["NextContinuationToken"]) if answer.get("IsTruncated") else None,
        )

    def pages(self, prefix: str, delimiter: str = "") -> Iterator[Page]:
        following: str | None = None
        while True:
            page = self.page(prefix, following, delimiter)
            yield page
            following = page.following
            if following is None:
                return

    def delete(self, key: str) -> None:
        try:
            self._tried(f"removing {key}", lambda: self._client.delete_object(Bucket=self._bucket, Key=key))
        except GiveUp as error:
            if error.code != "object_missing":
                raise

    def delete_version(self, key: str, version: str) -> None:
        doing = f"removing {key}, version {version}"
        try:
            self._tried(doing, lambda: self._client.delete_object(Bucket=self._bucket, Key=key, VersionId=version))
        except GiveUp as error:
            if error.code != "object_missing":
                raise

    def versions_of(self, key: str) -> list[str]:
        """Those of this very key, the newest first, and markers of removal behind them. Whoever may not list them is denied."""
        versions, markers = [], []
        more: Mapping[str, str] = {}
        while True:
            asked = partial(self._client.list_object_versions, Bucket=self._bucket, Prefix=key, **more)
            answer = self._tried(f"listing versions of {key}", asked)
            versions += [str(each["VersionId"]) for each in answer.get("Versions", ()) if each["Key"] == key]
            markers += [str(each["VersionId"]) for each in answer.get("DeleteMarkers", ()) if each["Key"] == key]
            if not answer.get("IsTruncated") or str(answer.get("NextKeyMarker")) != key:
                return [*versions, *markers]
            more = {"KeyMarker": key, "VersionIdMarker": str(answer["NextVersionIdMarker"])}

    def hidden_below(self, prefix: str) -> list[str]:
        """Keys that a marker of removal hides, of the first thousand versions and markers; empty where nobody may list them."""
        answer = self._known("versions", lambda: self._client.list_object_versions(Bucket=self._bucket, Prefix=prefix))
        markers = answer.get("DeleteMarkers", ()) if isinstance(answer, Mapping) else ()
        return [str(each["Key"]) for each in markers if each.get("IsLatest")]

    def standing(self, key: str, version: str | None = None) -> VersionFacts | None:
        """As ``head``, with version and lock. The lock is told only to who may ask for it."""
        of = {"VersionId": version} if version else {}
        try:
            answer = self._tried(f"looking at {key}", lambda: self._client.head_object(Bucket=self._bucket, Key=key, **of))
        except GiveUp as error:
            if error.code == "object_missing":
                return None
            raise
        return VersionFacts.of(answer)

    def lock_told(self, key: str, version: str | None) -> Lock | None:
        of = {"VersionId": version} if version else {}
        doing = f"asking for the lock of {key}"
        try:
            answer = self._tried(doing, lambda: self._client.get_object_retention(Bucket=self._bucket, Key=key, **of))
        except GiveUp as error:
            if is_without_lock(error):
                return None
            raise
        except TryAgain as error:
            if is_no_answer_of_s3(error):
                return None
            raise
        told = answer.get("Retention") or {}
        return lock_of(told.get("Mode"), told.get("RetainUntilDate"))

    def put_lock(self, key: str, version: str | None, lock: Lock) -> None:
        of = {"VersionId": version} if version else {}
        retention = {"Mode": lock.mode.upper(), "RetainUntilDate": lock.until}
        self._tried(
            f"locking {key}",
            lambda: self._client.put_object_retention(Bucket=self._bucket, Key=key, Retention=retention, **of),
        )

    def versioning(self) -> str | None:
        """``Enabled``, ``Suspended``, or empty where it never was; None where the store does not say."""
        answer = self._known("versions", lambda: self._client.get_bucket_versioning(Bucket=self._bucket))
        return None if not isinstance(answer, Mapping) else str(answer.get("Status", ""))

    def lock_configuration(self) -> tuple[bool, LockRule | None] | None:
        """Whether the bucket has object lock, and what it puts new objects under of itself; None where the store does not say."""
        answer = self._known("object lock", lambda: self._client.get_object_lock_configuration(Bucket=self._bucket))
        if not isinstance(answer, Mapping):
            return None
        told = answer.get("ObjectLockConfiguration", {})
        default = told.get("Rule", {}).get("DefaultRetention", {})
        mode, days = str(default.get("Mode", "")).lower(), int(default.get("Days") or 0) + 365 * int(default.get("Years") or 0)
        rule = LockRule(LockMode(mode), timedelta(days=days)) if days and mode in set(LockMode) else None
        return told.get("ObjectLockEnabled") == "Enabled", rule

    def _known(self, what: str, call: Callable[[], object]) -> object:
        """What a store says of itself; None where it does not answer the question."""
        try:
            return self._tried(f"asking about {what}", call)
        except GiveUp:
            return None

    def _written(self, doing: str, write: Callable[[Mapping[str, str]], object], replaces: bool) -> None:
        """Most stores that do not know the condition ignore it. Those that refuse it are not asked a second time."""
        if self._takes_conditions and not replaces:
            try:
                self._once(doing, lambda: write(_ONLY_IF_ABSENT))
                return
            except GiveUp as error:
                if not is_not_implemented(error):
                    raise
                self._takes_conditions = False
        self._once(doing, lambda: write({}))

    def _once(self, doing: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except (ClientError, BotoCoreError, OSError) as error:
            raise fault_of(error, doing, self._url) from error
        except HTTPError as error:
            raise unreachable(f"{doing}: {error}", self._url) from error

    def _tried(self, doing: str, call: Callable[[], T]) -> T:
        for attempt in range(ATTEMPTS - 1):
            try:
                return self._once(doing, call)
            except TryAgain:
                pause(attempt)
        return self._once(doing, call)


def pause(attempt: int) -> None:
    """Between two attempts: 0.1 s doubling, shaken so that many uploads do not come back together."""
    threading.Event().wait(_FIRST_PAUSE_SECONDS * 2**attempt * random.uniform(0.5, 1.5))  # noqa: S311


def _md5(body: bytes) -> str:
    """RFC 1864: what S3 compares with what arrived. Not for security."""
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
