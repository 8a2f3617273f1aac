"""Doing something as a user without any rights of root's."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Callable

from understudy.vocabulary.json import Json

NOBODY = 65534


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
