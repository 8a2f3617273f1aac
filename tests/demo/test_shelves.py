"""Documents and images count as found only where they hold what was put there."""

import pytest

from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from understudy.demo.ledger import read_acknowledgements
from understudy.demo.servers import images_at
from understudy.demo.shelves import Documents, fill
from understudy.vocabulary.secret import Secret


@pytest.fixture
def ledger(tmp_path):
    return tmp_path / "ledger.txt"


def damage(directory):
    """One is emptied, one holds another's content, one is gone."""
    first, second, third, *_ = sorted(path for path in directory.rglob("*") if path.is_file())
    second.write_bytes(third.read_bytes())
    third.unlink()
    first.write_bytes(b"")


def test_a_document_counts_only_with_its_own_content(tmp_path, ledger):
    documents = Documents(tmp_path / "documents")
    (tmp_path / "documents").mkdir()
    fill(documents, ledger, 1, 5)
    assert documents.sound() == {1, 2, 3, 4, 5} == set(read_acknowledgements(ledger))
    damage(tmp_path / "documents")
    assert documents.sound() == {4, 5}


def test_an_image_counts_only_with_its_own_content(tmp_path, ledger):
    def images(server):
        return images_at(server.endpoint, "images", ACCESS_KEY, Secret(SECRET_KEY))

    server = RcloneS3(tmp_path / "s3", "images")
    with server:
        fill(images(server), ledger, 1, 5)
        assert images(server).sound() == {1, 2, 3, 4, 5} == set(read_acknowledgements(ledger))
    damage(tmp_path / "s3" / "images")  # it remembers what it has listed
    with server:
        assert images(server).sound() == {4, 5}


def test_where_the_directory_is_gone_nothing_is_acknowledged(tmp_path, ledger):
    with pytest.raises(FileNotFoundError):
        fill(Documents(tmp_path / "gone"), ledger, 1, 1)
    assert read_acknowledgements(ledger) == {}
