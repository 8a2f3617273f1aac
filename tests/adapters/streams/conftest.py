import threading
import uuid
from datetime import timedelta

import pytest

from understudy.adapters.clock.system import SystemClock
from understudy.adapters.streams.command import CommandCollection, CommandLoader, DeclaredCommand
from understudy.adapters.streams.workplace import Workplace
from understudy.vocabulary.errors import Cancelled


class Cancelling:
    """Asks for the end once ``asked`` is set; ``looked`` tells how often somebody wanted to know."""

    def __init__(self):
        self.asked = threading.Event()
        self.looked = 0

    def raise_if_requested(self):
        self.looked += 1
        if self.asked.is_set():
            raise Cancelled


class Told:
    def report(self, activity, done, total=None, unit="bytes"):
        self.last = (activity, done)

    def held_up(self, reason):
        pass


@pytest.fixture
def workplace(tmp_path):
    return Workplace(f"run-{uuid.uuid4()}", tmp_path / "scratch", SystemClock(), Told(), Cancelling())


@pytest.fixture
def declared(tmp_path):
    """A command as it may be declared; ``dump`` and ``load`` are for the shell where they are no tuples."""

    def in_shell(words):
        return ("sh", "-c", words) if isinstance(words, str) else words

    def declare(dump="true", load=None, **other):
        usual = {
            "resource": "said",
            "dump": in_shell(dump),
            "load": in_shell(load),
            "environment": dict,
            "directory": str(tmp_path),
            "time_limit": timedelta(seconds=60),
            "may_be_empty": False,
            "file": "said.dump",
        }
        return DeclaredCommand(**{**usual, **other})

    return declare


@pytest.fixture
def dumping(declared, workplace):
    return lambda *words, **other: CommandCollection(declared(*words, **other), workplace)


@pytest.fixture
def loading(declared, workplace):
    return lambda load, **other: CommandLoader(declared(load=load, **other), workplace)
