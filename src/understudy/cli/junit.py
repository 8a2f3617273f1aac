"""``drill --junit``: the file that a CI server reads, there from the beginning of the drill to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.adapters.clock.system import SystemClock
from understudy.records.run import RecordedError
from understudy.vocabulary.errors import UnderstudyError

if TYPE_CHECKING:
    from understudy.app.installation import Installation
    from understudy.app.junit import Suite
    from understudy.app.run_view import RunView
    from understudy.stack.models import Scenario


class JunitFile:
    """``whole`` is False once something could not be written. That is said, and the drill is told all the same."""

    def __init__(self, file: Path | None, scenario: Scenario) -> None:
        self._file = file
        self._scenario = scenario
        self.whole = True

    def tell(self, installation: Installation, view: RunView) -> None:
        """What a drill that has ended came to."""
        from understudy.app.junit import suite_of

        self._write(lambda: suite_of(installation, self._scenario, view))

    def tell_refused(self, began: datetime, error: RecordedError) -> None:
        from understudy.app.junit import refused

        self._write(lambda: refused(self._scenario, began, SystemClock().now(), error))

    def _write(self, suite: Callable[[], Suite]) -> None:
        if self._file is None:
            return
        from understudy.app.junit import write_junit
        from understudy.cli.printing import print_error

        try:
            write_junit(self._file, suite())
        except UnderstudyError as error:
            print_error(error)
            self.whole = False


@contextmanager
def told_as_junit(file: Path | None, scenario: Scenario) -> Iterator[JunitFile]:
    """At first it says that the drill has not ended, so that no file of an earlier one, nor a kill, is taken for a success.
    A refusal is written as a failure.

    Raises:
        Refusal: ``file_unwritable``, before anything else is done.
    """
    told, began = JunitFile(file, scenario), SystemClock().now()
    if file is not None:
        from understudy.app.junit import unfinished, write_junit

        write_junit(file, unfinished(scenario, began))
    try:
        yield told
    except UnderstudyError as error:
        told.tell_refused(began, RecordedError.of(error))
        raise
    except click.UsageError as error:
        told.tell_refused(began, RecordedError("usage", error.format_message(), hint="understudy drill --help", refused=True))
        raise
