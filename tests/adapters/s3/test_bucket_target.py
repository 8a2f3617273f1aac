"""What is restored into a bucket: every object with what it wore, and what the store does not keep is said."""

import dataclasses
import os

import pytest

from tests.adapters.s3.buckets import OwnPrefix, client_of
from tests.adapters.s3.test_bucket_collection import ODD_KEYS
from tests.contracts.collections import ANOTHER_RUN, RUN, CollectionTargetContract, SharedTargetContract, contents, file_of
from tests.servers.faulty_proxy import Direction, FaultyProxy
from tests.servers.moto_s3 import MotoS3
from tests.servers.rclone_s3 import ACCESS_KEY, SECRET_KEY, RcloneS3
from tests.servers.refusing_proxy import ConditionRefusingProxy
from understudy.adapters.s3 import BucketTarget
from understudy.adapters.s3.bucket_target import _part_bytes
from understudy.adapters.s3.uploads import PART_BYTES
from understudy.ports.collection import Entry, EntryKind
from understudy.vocabulary.errors import GiveUp, TryAgain
from understudy.vocabulary.secret import Secret

MIB = 1024 * 1024
DRESS = {
    "content_type": "text/plain; charset=utf-8",
    "cache_control": "max-age=60",
    "content_disposition": 'attachment; filename="x"',
    "content_encoding": "gzip",
    "content_language": "de",
    "expires": "Wed, 21 Oct 2026 07:28:00 GMT",
    "metadata": {"camera": "analogue", "empty": ""},
    "tags": {"kind": "photo", "owner": "ada l=b+c"},
}


@pytest.fixture(scope="module")
def moto():
    with MotoS3() as running:
        client_of(running.endpoint).create_bucket(Bucket="plain")
        yield running


@pytest.fixture(scope="module")
def rclone(tmp_path_factory):
    with RcloneS3(tmp_path_factory.mktemp("s3"), "plain") as running:
        yield running


@pytest.fixture(scope="module")
def refusing(rclone):
    with ConditionRefusingProxy(rclone.port) as proxy:
        yield proxy


@pytest.fixture
def own(moto):
    return OwnPrefix(client_of(moto.endpoint), moto.endpoint, "plain")


def refused_with(code, use):
    with pytest.raises((GiveUp, TryAgain)) as refused:
        use()
    assert refused.value.code == code
    return refused.value


class BucketTargetContract(SharedTargetContract, CollectionTargetContract):
    @pytest.fixture
    def target(self, own):
        return own.target()

    @pytest.fixture
    def again(self, own):
        return own.target()

    @pytest.fixture
    def as_collection(self, own):
        return own.collection()

    @pytest.fixture
    def put_stray(self, own):
        return lambda key: own.put(key, b"")


class TestBucketTargetThatKeepsEverything(BucketTargetContract):
    pass


class TestBucketTargetThatIgnoresConditions(BucketTargetContract):
    @pytest.fixture
    def own(self, rclone):
        return OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain")


class TestBucketTargetThatRefusesConditions(BucketTargetContract):
    @pytest.fixture
    def own(self, refusing):
        return OwnPrefix(client_of(refusing.endpoint), refusing.endpoint, "plain")


@pytest.mark.parametrize("size", [3, 2 * PART_BYTES + 1])
def test_an_object_wears_again_what_it_wore(own, size):
    content = os.urandom(size)
    entry = Entry("a", EntryKind.FILE, size, attributes={**DRESS, "last_modified": "2020-01-01T00:00:00+00:00", "mode": "0644"})
    target = own.target()
    target.claim(RUN)
    target.write(entry, [content])
    target.finish([entry], RUN)
    found = contents(own.collection())["a"]
    assert {name: value for name, value in found.attributes.items() if name != "last_modified"} == DRESS
    assert b"".join(own.collection().read(found)) == content
    assert target.fell_short() == ()


def test_keys_that_no_file_could_have_are_written(own):
    target = own.target()
    target.claim(RUN)
    for key in ODD_KEYS:
        target.write(file_of(key, key.encode()), [key.encode()])
    target.finish([], RUN)
    collection = own.collection()
    assert {key: b"".join(collection.read(each)) for key, each in contents(collection).items()} == {
        key: key.encode() for key in ODD_KEYS
    }
    for key in ODD_KEYS:
        assert b"".join(target.read_back(file_of(key))) == key.encode()


def test_what_a_store_does_not_keep_is_told_of_every_object_that_had_it(rclone):
    own = OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain")
    target = own.target()
    target.claim(RUN)
    target.write(Entry("tagged", EntryKind.FILE, attributes={"tags": {"a": "b"}}), [])
    target.write(Entry("plain", EntryKind.FILE), [])
    assert target.fell_short() == ("tagged: tags",)


def test_tags_that_a_store_declines_are_told_and_the_object_is_there(own):
    target = own.target()
    target.claim(RUN)
    target.write(Entry("a", EntryKind.FILE, 1, attributes={"tags": {"k": "a&b"}}), [b"x"])
    assert b"".join(target.read_back(file_of("a"))) == b"x"
    (told,) = target.fell_short()
    assert told.startswith("a: tags (")
    assert "InvalidTag" in told


def test_what_no_request_can_carry_is_told(own):
    target = own.target()
    target.claim(RUN)
    attributes = {"metadata": {"kept": "x", "name": "Ada ä", "new\nline": "x"}, "content_language": "x\r\nx-amz-acl: public-read"}
    target.write(Entry("a", EntryKind.FILE, attributes=attributes), [])
    assert sorted(target.fell_short()) == ["a: content language", "a: metadata 'name'", "a: metadata 'new\\nline'"]
    assert own.head("a")["Metadata"] == {"kept": "x"}


@pytest.mark.parametrize(
    "entry",
    [
        Entry("d", EntryKind.DIRECTORY),
        Entry("l", EntryKind.SYMLINK, link="x"),
        Entry("h", EntryKind.HARD_LINK, link="x"),
        Entry(".understudy-run", EntryKind.FILE),
        Entry("k" * 1025, EntryKind.FILE),
        Entry("\udcff", EntryKind.FILE),
        Entry("a", EntryKind.FILE, attributes={"content_type": 5}),
        Entry("a", EntryKind.FILE, attributes={"metadata": {"a": 5}}),
        Entry("a", EntryKind.FILE, attributes={"tags": ["a"]}),
    ],
)
def test_what_is_no_object_is_refused(own, entry):
    target = own.target()
    target.claim(RUN)
    refused_with("entry_refused", lambda: target.write(entry, []))
    target.finish([], RUN)
    assert contents(own.collection()) == {}


class RacedTarget(BucketTarget):
    """A rival's mark comes between the look and our own."""

    rival: BucketTarget

    def _put_mark(self, run):
        self.rival.claim(ANOTHER_RUN)
        super()._put_mark(run)


def test_of_two_runs_that_claim_at_once_one_wins(own):
    keys = Secret(ACCESS_KEY), Secret(SECRET_KEY)
    second = RacedTarget(own.bucket, own.prefix, own.endpoint, *keys)
    second.rival = own.target()
    assert refused_with("target_not_empty", lambda: second.claim(RUN))
    second.rival.write(file_of("a"), [])
    second.rival.finish([file_of("a")], ANOTHER_RUN)


def test_a_write_goes_on_where_connections_broke(own, moto):
    content = os.urandom(3 * PART_BYTES)
    own.target().claim(RUN)
    with FaultyProxy(moto.port) as proxy:
        away = own.target(proxy.endpoint)
        away.claim(RUN)
        proxy.cut_after(2 * MIB, Direction.TO_SERVER, times=3)
        away.write(file_of("large", content), [content])
        assert proxy.cuts == 3
    assert b"".join(own.target().read_back(file_of("large"))) == content


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES])
def test_what_replaces_is_dressed_anew_where_the_answer_was_lost(own, moto, size):
    """The same bytes lay there before: that they are there says nothing about the write."""
    content = os.urandom(size)
    before = own.target()
    before.claim(RUN)
    before.write(file_of("a", content), [content])
    with FaultyProxy(moto.port) as proxy:
        target = own.target(proxy.endpoint)

        def cut_at_the_end():
            yield content
            proxy.cut_after(0, Direction.TO_SERVER, times=1)

        target.write(Entry("a", EntryKind.FILE, size, attributes={"metadata": {"v": "2"}}), cut_at_the_end())
        assert proxy.cuts == 1
    assert own.head("a")["Metadata"] == {"v": "2"}


def test_a_fault_of_where_the_content_comes_from_is_no_fault_of_the_target(own):
    target = own.target()
    target.claim(RUN)

    def away():
        yield b"x"
        raise TryAgain("store_unreachable", found="the repository", expected="an answer", hint="try again")

    refused_with("store_unreachable", lambda: target.write(file_of("a"), away()))


def test_uploads_of_an_attempt_that_was_killed_are_given_up(own):
    target = own.target()
    target.claim(RUN)
    own.client.create_multipart_upload(Bucket=own.bucket, Key=f"{own.prefix}/half")
    own.target().claim(RUN)
    assert own.client.list_multipart_uploads(Bucket=own.bucket, Prefix=own.prefix).get("Uploads", []) == []


def test_uploads_of_others_go_on_where_a_run_is_given_up(own):
    target = own.target()
    target.claim(RUN)
    for key in ("ours", "theirs"):
        own.client.create_multipart_upload(Bucket=own.bucket, Key=f"{own.prefix}/{key}")
    assert own.target().abandon(RUN, {"ours"}.__contains__) == ()
    left = own.client.list_multipart_uploads(Bucket=own.bucket, Prefix=own.prefix)["Uploads"]
    assert [each["Key"] for each in left] == [f"{own.prefix}/theirs"]


def test_a_target_that_is_away_missing_or_closed_is_said_to_be(own, moto, rclone):
    nowhere = dataclasses.replace(own, bucket="nowhere").target()
    closed = OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain").target(secret_key=Secret("wrong"))
    with FaultyProxy(moto.port) as proxy:
        proxy.refuse()
        away = own.target(proxy.endpoint)
        for target, code in ((away, "target_unreachable"), (nowhere, "target_unwritable"), (closed, "target_denied")):
            for use in (
                lambda t: t.claim(RUN),
                lambda t: t.write(file_of("a"), [b"x"]),
                lambda t: [*t.read_back(file_of("a"))],
                lambda t: t.finish([], RUN),
            ):
                assert "wrong" not in str(refused_with(code, lambda use=use, target=target: use(target)))


def test_a_key_that_the_store_does_not_take_is_told(rclone):
    target = OwnPrefix(client_of(rclone.endpoint), rclone.endpoint, "plain").target()
    target.claim(RUN)
    assert "a//b" in refused_with("target_unwritable", lambda: target.write(file_of("a//b"), [])).found


@pytest.mark.parametrize("size", [0, PART_BYTES, 78 * 1024 * MIB, 1024 * 1024 * MIB, 5 * 1024 * 1024 * MIB])
def test_an_object_of_any_size_fits_into_the_parts_that_s3_takes(size):
    part = _part_bytes(size)
    assert part >= PART_BYTES
    assert size <= part * 10_000
    assert part <= 5 * 1024 * MIB
