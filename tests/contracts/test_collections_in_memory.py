"""The fakes keep the promises that they stand in for."""

import pytest

from tests.contracts.collections import CollectionContract, CollectionTargetContract, SharedTargetContract
from tests.contracts.collections_in_memory import MemoryCollection, MemoryTarget
from understudy.ports.collection import FirstHundred


class TestMemoryCollection(CollectionContract):
    @pytest.fixture
    def collection(self):
        return MemoryCollection()

    @pytest.fixture
    def put(self, collection):
        return collection.put

    @pytest.fixture
    def remove(self, collection):
        return collection.remove


class TestMemoryTarget(SharedTargetContract, CollectionTargetContract):
    @pytest.fixture
    def target(self):
        return MemoryTarget()

    @pytest.fixture
    def again(self, target):
        return MemoryTarget(target.written, target.mark)

    @pytest.fixture
    def as_collection(self, target):
        return MemoryCollection(target.written)

    @pytest.fixture
    def put_stray(self, target):
        return lambda key: MemoryCollection(target.written).put(key, b"")


def test_what_is_told_can_be_printed_and_stored_whatever_the_name_holds():
    told = FirstHundred()
    told.add("caf\udce9\n\x1b[31m ä: a socket")
    assert told.told() == ("caf\\udce9\\n\\x1b[31m ä: a socket",)


def test_of_many_the_first_hundred_are_told():
    told = FirstHundred()
    for number in range(103):
        told.add(f"{number}")
    assert told.told() == (*map(str, range(100)), "…")
