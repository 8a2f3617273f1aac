"""A repository in a bucket of a real server, and what a network does to it."""

import hashlib
import json
import os
import secrets
import subprocess
import sys
from functools import partial

import pytest

from tests.adapters.s3.strays import put_stray
from tests.contracts.object_store import ObjectStoreContract, SourceFailed, broken_source
from tests.servers.faulty_proxy import Direction, FaultyProxy
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from understudy.adapters.s3 import S3Store
from understudy.adapters.s3.uploads import PART_BYTES
from understudy.ports.object_store import StoreAbilities
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.secret import Secret

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with RcloneS3(tmp_path_factory.mktemp("s3"), "bucket") as running:
        yield running


@pytest.fixture
def prefix():
    """Each test has a place of its own in the bucket."""
    return f"tests/{secrets.token_hex(8)}"


def store_at(endpoint, prefix, bucket="bucket", secret=SECRET_KEY):
    return S3Store(bucket, prefix, endpoint, Secret(ACCESS_KEY), Secret(secret))


@pytest.fixture
def store(server, prefix):
    return store_at(server.endpoint, prefix)


@pytest.fixture
def proxy(server):
    with FaultyProxy(server.port) as running:
        yield running


@pytest.fixture
def away(proxy, prefix):
    """The same store, through the proxy."""
    return store_at(proxy.endpoint, prefix)


class TestS3Store(ObjectStoreContract):
    @pytest.fixture
    def store(self, store):
        return store

    @pytest.fixture
    def put_stray(self, server, store):
        return partial(put_stray, server.endpoint, store)


def test_a_store_can_be_a_whole_bucket(tmp_path):
    with RcloneS3(tmp_path, "bucket") as server:
        store = store_at(server.endpoint, prefix="")
        store.put("a/b", [b"x"])
        assert [each.key for each in store.list()] == ["a/b"]
        assert list(store.folders("")) == ["a"]
        assert store.url == "s3://bucket"


def test_two_prefixes_do_not_see_one_another(server, store, prefix):
    other = store_at(server.endpoint, prefix=f"{prefix}-other")
    store.put("a", [b"x"])
    assert other.head("a") is None
    assert list(other.list()) == []
    assert store.url == f"s3://bucket/{prefix}"


def test_what_this_server_honours_is_observed_not_believed(store):
    assert store.probe() == StoreAbilities(conditional_put=False, range_reads=True, versions=False, object_lock=False)


def test_listings_go_on_page_by_page(tmp_path):
    folder = tmp_path / "bucket/p/many"
    folder.mkdir(parents=True)
    for number in range(2100):
        (folder / f"{number:05d}").write_bytes(b"")
    with RcloneS3(tmp_path) as server:
        store = store_at(server.endpoint, "p")
        assert [each.key for each in store.list("many/")] == [f"many/{number:05d}" for number in range(2100)]
        assert list(store.folders("")) == ["many"]


@pytest.mark.parametrize("size", [0, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 2 * PART_BYTES, 3 * PART_BYTES + 5])
def test_sizes_around_the_part_size_are_stored_whole(store, size):
    content = os.urandom(size)
    written = store.put("sized", (content[at : at + 300_000] for at in range(0, size, 300_000)))
    assert written.size_bytes == size
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert b"".join(store.read("sized")) == content


def test_an_upload_goes_on_where_connections_broke(proxy, away, store):
    content = os.urandom(5 * PART_BYTES + 12345)
    proxy.cut_after(3 * MIB, Direction.TO_SERVER, times=4)
    written = away.put("large", [content])
    assert proxy.cuts == 4
    assert written.sha256 == hashlib.sha256(content).hexdigest()
    assert b"".join(store.read("large")) == content


def test_a_download_goes_on_where_connections_broke(proxy, away, store):
    content = os.urandom(20 * MIB)
    store.put("large", [content])
    proxy.cut_after(2 * MIB, Direction.TO_CLIENT, times=7)
    assert b"".join(away.read("large", 1000)) == content[1000:]
    assert proxy.cuts == 7


def test_a_connection_that_never_gets_anywhere_is_given_up_for_now(proxy, away, store):
    store.put("large", [os.urandom(2 * MIB)])
    proxy.cut_after(100, Direction.TO_CLIENT, times=1000)
    with pytest.raises(TryAgain) as refused:
        list(away.read("large"))
    assert refused.value.code == "store_unreachable"


def test_a_small_put_survives_a_lost_answer(proxy, away, store):
    """The server stored the object, and its answer never came: the repetition must not meet itself."""
    away.head("warm-up")
    proxy.cut_after(300, Direction.TO_CLIENT, times=2)
    away.put("small", [b"content"])
    assert proxy.cuts == 2
    assert b"".join(store.read("small")) == b"content"


def test_a_store_that_is_away_is_unreachable_and_comes_back(proxy, away):
    store = away
    store.put("before", [b"x"])
    proxy.refuse()
    for use in (
        lambda: store.put("a", [b"x"]),
        lambda: store.head("before"),
        lambda: list(store.list()),
        lambda: list(store.folders("")),
        lambda: list(store.read("before")),
        lambda: store.delete("before"),
    ):
        with pytest.raises(TryAgain) as refused:
            use()
        assert refused.value.code == "store_unreachable"
    proxy.pass_all()
    assert b"".join(store.read("before")) == b"x"


def test_an_upload_that_failed_leaves_nothing_in_progress(server, store):
    with pytest.raises(SourceFailed):
        store.put("half", broken_source(os.urandom(3 * PART_BYTES)))
    import boto3

    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
        region_name="us-east-1",
    )
    assert client.list_multipart_uploads(Bucket="bucket").get("Uploads", []) == []
    assert list(store.list()) == []


def test_a_wrong_secret_is_denied_with_what_to_check(server):
    store = store_at(server.endpoint, "p", secret="wrong")  # noqa: S106
    for use in (lambda: store.put("a", [b"x"]), lambda: list(store.list()), lambda: list(store.read("a")), store.probe):
        with pytest.raises(GiveUp) as refused:
            use()
        assert refused.value.code == "store_denied"
        assert "secret_key" in refused.value.hint
        assert "wrong" not in str(refused.value)


def test_a_bucket_that_is_not_there_is_no_empty_one(server):
    store = store_at(server.endpoint, "p", bucket="nowhere")
    for use in (
        lambda: store.put("a", [b"x"]),
        lambda: store.put("a", [os.urandom(2 * PART_BYTES)]),
        lambda: store.head("a"),
        lambda: list(store.list()),
        lambda: list(store.folders("")),
        lambda: list(store.read("a")),
        lambda: list(store.read("a", 5)),
        store.probe,
    ):
        with pytest.raises(GiveUp) as refused:
            use()
        assert refused.value.code == "bucket_missing"


def test_reading_behind_the_end_says_that_the_object_changed(store):
    store.put("a", [b"123"])
    with pytest.raises(GiveUp) as refused:
        list(store.read("a", 4))
    assert refused.value.code == "object_changed"


def test_an_object_replaced_while_it_is_read_is_noticed(proxy, away, store):
    store.put("replaced", [os.urandom(8 * MIB)])
    reading = away.read("replaced")
    proxy.cut_after(3 * MIB, Direction.TO_CLIENT, times=1)
    next(reading)
    store.delete("replaced")
    store.put("replaced", [os.urandom(8 * MIB)])
    with pytest.raises(GiveUp) as refused:
        list(reading)
    assert refused.value.code == "object_changed"


def test_memory_stays_bounded_however_large_the_object(server):
    program = (
        "import sys, json, resource\n"
        "from understudy.adapters.s3 import S3Store\n"
        "from understudy.vocabulary.secret import Secret\n"
        "store = S3Store('bucket', 'big', sys.argv[1], Secret(sys.argv[2]), Secret(sys.argv[3]))\n"
        "store.head('nothing')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "block = bytes(1 << 20)\n"
        "store.put('large', (block for _ in range(300)))\n"
        "for piece in store.read('large'): pass\n"
        "print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))\n"
    )
    command = [sys.executable, "-c", program, server.endpoint, ACCESS_KEY, SECRET_KEY]
    grown_kib = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert grown_kib < 100 * 1024


def test_without_boto3_it_says_what_to_install(tmp_path):
    program = (
        "import sys; sys.modules['boto3'] = None\n"
        "from understudy.adapters.s3 import S3Store\n"
        "from understudy.vocabulary.errors import GiveUp\n"
        "try: S3Store('bucket').head('a')\n"
        "except GiveUp as error: print(error.code, error.hint)\n"
    )
    shown = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout
    assert shown.strip() == "s3_support_missing pip install 'understudy[s3]'"


def test_importing_the_adapter_imports_no_boto3():
    program = "import sys, understudy.adapters.s3; print('boto3' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout == "False\n"
