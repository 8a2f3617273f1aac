"""Small documents that are put under a key once, and may be put again by who was cut off."""

from __future__ import annotations

import hashlib

from understudy.ports.object_store import ObjectStore, Written
from understudy.vocabulary.errors import GiveUp


def put_once(store: ObjectStore, key: str, content: bytes, taken_code: str) -> Written:
    """Store ``content``; the same again is success.

    Raises:
        GiveUp: ``taken_code``: something else lies there.
    """
    try:
        return store.put(key, [content])
    except GiveUp as error:
        if error.code != "object_exists":
            raise
    there = b"".join(store.read(key))
    if there != content:
        raise GiveUp(
            taken_code,
            found=f"{key} is there with another content",
            expected="a label that is free, or the same again",
            hint="two controllers write to this repository; stop one of them, then take the backup again",
        )
    return Written(key, len(content), hashlib.sha256(content).hexdigest())
