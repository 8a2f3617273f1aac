"""What the crash tests share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

pytest.register_assert_rewrite("tests.crash.marching")

from tests.crash.postgres_stage import Stage  # noqa: E402  (the registration must come first)
from tests.servers.postgres import PostgresServer  # noqa: E402


@pytest.fixture
def make_stage() -> Iterator[Callable[..., Stage]]:
    """A factory of stages, ``make_stage(bucket=…)``, each with a server of its own, removed after the test."""
    made: list[Stage] = []

    def make(**options: bool) -> Stage:
        made.append(Stage(PostgresServer().start(), **options))
        return made[-1]

    yield make
    for stage in made:
        stage.close()
