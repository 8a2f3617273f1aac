"""One source server with its repository for all tests of a module that share it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.restore_matrix.estate import Estate
from tests.restore_matrix.stores import BUCKET, PREFIX, StoreKind, s3_fields
from tests.servers.flavours import Flavour
from tests.servers.postgres import PostgresServer
from tests.servers.rclone_s3 import RcloneS3

MakeEstate = Callable[..., Estate]


@pytest.fixture(scope="module")
def make_estate() -> Iterator[MakeEstate]:
    """``make_estate(flavour, store, server=…, resource=…, **server_options)``; everything is removed after the module."""
    with ExitStack() as undo:

        def make(
            flavour: Flavour = Flavour.WHEEL_18,
            store: StoreKind = StoreKind.FILE,
            *,
            server: PostgresServer | None = None,
            resource: dict[str, object] | None = None,
            **options: object,
        ) -> Estate:
            source = server or undo.enter_context(PostgresServer(flavour, fresh=True, **options))  # type: ignore[arg-type]
            if store is StoreKind.FILE:
                estate = Estate.around(source, resource=resource)
            else:
                buckets = source.directory / "buckets"
                buckets.mkdir(mode=0o700)
                s3 = undo.enter_context(RcloneS3(buckets, BUCKET))
                place = buckets / BUCKET / PREFIX
                estate = Estate.around(source, s3_fields(s3, buckets), repository_directory=place, resource=resource)
            undo.callback(estate.close)
            return estate

        yield make
