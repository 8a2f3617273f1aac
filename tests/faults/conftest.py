"""Estates that go away with their test."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.faults.estate import Estate
from tests.servers.postgres import PostgresServer

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


@pytest.fixture
def tiny_file_system(tmp_path: Path) -> Iterator[Path]:
    """A disk of 16 MB."""
    place = tmp_path / "tiny"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16m", "tmpfs", str(place)], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("a file system of its own needs the privilege to mount one")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)
