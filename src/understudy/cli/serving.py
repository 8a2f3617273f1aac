"""``serve``."""

from __future__ import annotations

import logging
import signal
import threading
import time
from pathlib import Path

import click

from understudy.cli.options import opened, stack_options


@click.command(
    epilog="""\b
Example:
  understudy serve    in the foreground; a supervisor keeps it running
"""
)
@stack_options
def serve(stack_file: Path, state: Path | None) -> None:
    """Keep WAL streaming and shipped, sample exposure, run the schedules, and carry out what other commands hand over.

    Ends on SIGTERM or Ctrl-C. The WAL receivers go on by themselves meanwhile; unfinished runs are resumed at the next start.
    """
    from understudy.app.serving import serve as keep_serving

    written = logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S+00:00")
    written.converter = time.gmtime
    to_standard_error = logging.StreamHandler()
    to_standard_error.setFormatter(written)
    logging.basicConfig(level=logging.INFO, handlers=[to_standard_error])
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    installation = opened(stack_file, state)
    keep_serving(installation, stopping, lambda: click.echo(f"serving {installation.stack.stack}", err=True))
