"""Doing something as a user who owns nothing but a directory of their own."""

from __future__ import annotations

import json
import os
import shutil
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests import room
from understudy.vocabulary.json import Json

NOBODY = 65534


@pytest.fixture
def own_directory() -> Iterator[Path]:
    """A directory that the user owns, reachable for them; pytest's own are not."""
    directory = room.new_path("tree")
    directory.mkdir(mode=0o755)
    if os.geteuid() == 0:
        os.chown(directory, NOBODY, NOBODY)
    yield directory
    for where, _, _ in os.walk(directory):
        Path(where).chmod(0o700)
    shutil.rmtree(directory)


def as_nobody(act: Callable[[], Json]) -> Json:
    """What ``act`` returns in a child without any rights of root's, whoever runs the tests."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reading)
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writing, json.dumps(act()).encode())
            status = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb") as answers:
        answer = answers.read()
    _, status = os.waitpid(child, 0)
    assert status == 0, "see what the child printed"
    return json.loads(answer)
