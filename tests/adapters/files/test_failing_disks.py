"""What a disk says that fails, and what is made of it: the kernel really answers so."""

import pytest

from tests.adapters.files.refusing_kernel import said_by
from understudy.adapters.files import FileStore


@pytest.mark.parametrize(
    ("besides", "code"),
    [
        ("", "object_unreadable"),
        ("fsync=errno.EROFS", "object_unreadable"),
        ("fsync=errno.EIO", "store_unreachable"),
    ],
)
def test_what_cannot_be_read_is_damaged_where_the_disk_still_works_and_waited_for_where_it_does_not(tmp_path, besides, code):
    said = said_by(
        tmp_path / "store",
        f"""
store.put("a/b", [b"x" * 3_000_000])
refuse(pread64=errno.EIO, {besides})
print(code_of(lambda: list(store.read("a/b"))), os.listdir(Path(sys.argv[1]) / ".incoming"))
""",
    )
    assert said == f"{code} []\n"


def test_a_fault_of_cleaning_up_does_not_stand_before_the_one_that_ended_the_writing(tmp_path):
    said = said_by(
        tmp_path / "store",
        """
def chunks():
    yield b"x"
    refuse(unlink=errno.EIO, unlinkat=errno.EIO)
    raise GiveUp("server_gone", found="the connection ended")

before = open_files()
print(code_of(lambda: store.put("a/b", chunks())), open_files() - before)
""",
    )
    assert said == "server_gone 0\n"


def test_a_file_system_without_locks_is_told_and_nothing_is_left_open_or_lying_there(tmp_path):
    said = said_by(
        tmp_path / "store",
        """
refuse(flock=errno.ENOLCK)
before = open_files()
print([code_of(lambda: store.put("a/b", [b"x"])) for _ in range(3)], open_files() - before)
""",
    )
    assert said == "['store_unreachable', 'store_unreachable', 'store_unreachable'] 0\n"
    assert list((tmp_path / "store/.incoming").iterdir()) == []


def test_what_could_not_be_flushed_is_not_found_by_the_next_try(tmp_path):
    said = said_by(
        tmp_path / "store",
        """
named = file_store.name_if_free

def named_and_then_nothing_more_is_flushed(*of):
    named(*of)
    refuse(fsync=errno.EIO)

file_store.name_if_free = named_and_then_nothing_more_is_flushed
print(code_of(lambda: store.put("a/b", [b"x"])))
""",
    )
    assert said == "store_unreachable\n"
    store = FileStore(tmp_path / "store")
    assert store.head("a/b") is None
    store.put("a/b", [b"x"])


def test_a_folder_whose_name_could_not_be_flushed_is_made_again_by_the_next_try(tmp_path):
    said = said_by(
        tmp_path / "store",
        """
prepared = store._require_prepared

def prepared_and_then_nothing_more_is_flushed():
    prepared()
    if os.listdir(Path(sys.argv[1]) / ".incoming"):
        refuse(fsync=errno.EIO)

store._require_prepared = prepared_and_then_nothing_more_is_flushed
print(code_of(lambda: store.put("a/b", [b"x"])))
""",
    )
    assert said == "store_unreachable\n"
    assert [path.name for path in (tmp_path / "store").iterdir()] == [".incoming"]


def test_what_is_there_already_is_flushed_before_that_is_said(tmp_path):
    said = said_by(
        tmp_path / "store",
        """
store.put("a/b", [b"x"])
refuse(fsync=errno.EIO)
print(code_of(lambda: store.put("a/b", [b"x"])))
""",
    )
    assert said == "store_unreachable\n"
