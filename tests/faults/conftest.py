"""Estates that go away with their test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.faults.estate import Estate
from tests.servers.postgres import PostgresServer
from tests.servers.tiny_disk import tiny_file_system

__all__ = ["make_estate", "tiny_file_system"]

MakeEstate = Callable[..., Estate]


@pytest.fixture
def make_estate() -> Iterator[MakeEstate]:
    """``make_estate(flavour=…, settings=…, bucket=…, **resource)``: a server with segments of 1 MB, protected but not served."""
    with ExitStack() as undo:

        def make(*, bucket: bool = False, server: dict[str, object] | None = None, **resource: object) -> Estate:
            source = undo.enter_context(PostgresServer(**({"segment_megabytes": 1, "fresh": True} | (server or {}))))  # type: ignore[arg-type]
            estate = Estate(source, bucket=bucket, **resource)
            undo.callback(estate.close)
            return estate

        yield make
