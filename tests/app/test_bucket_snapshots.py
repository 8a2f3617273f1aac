"""A bucket kept and brought back, on a store that knows tags (``moto_server``)."""

import boto3
import pytest

from tests.app.shelf import NEAR, Shelf, SilentWatcher, proof_of
from tests.room import new_path
from tests.servers.moto_s3 import MotoS3
from understudy.app.backups import back_up
from understudy.app.preflight import check
from understudy.app.recoveries import restore
from understudy.app.run_secrets import require_secrets
from understudy.app.snapshot_restores import plan_requested_snapshot_restore, snapshot_restore_request
from understudy.judge.preflight import Grade
from understudy.plan.plan import Procedure
from understudy.plan.request import Choice
from understudy.repository.snapshots.scratch import discard_scratch
from understudy.vocabulary.errors import Refusal
from understudy.vocabulary.evidence import Outcome
from understudy.vocabulary.identifiers import ResourceName, RunId

IMAGES = ResourceName("images")
ACCESS = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
BODIES = {"a.png": b"a", "products/17 ä.jpg": b"17", "products/18.jpg": b"18" * 5000, "products/copy of 18.jpg": b"18" * 5000}


@pytest.fixture(scope="module")
def s3():
    with MotoS3() as server:
        client = boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", **ACCESS)
        client.create_bucket(Bucket="shop")
        client.create_bucket(Bucket="copies")
        for key, body in BODIES.items():
            client.put_object(Bucket="shop", Key=f"images/{key}", Body=body, ContentType="image/jpeg", Metadata={"by": "ann"})
        client.put_object(Bucket="shop", Key="other/b", Body=b"not meant")
        tags = {"TagSet": [{"Key": "public", "Value": "yes"}]}
        client.put_object_tagging(Bucket="shop", Key="images/a.png", Tagging=tags)
        yield client


@pytest.fixture(scope="module")
def shelf(s3):
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.secret_file("key", "key")
    made.secret_file("secret", "secret")
    images = (
        f"images: {{kind: bucket, url: s3://shop/images, endpoint: '{s3.meta.endpoint_url}', "
        f"access_key: 'file:{directory}/key', secret_key: 'file:{directory}/secret'}}"
    )
    made.write(resources=[images], repositories=["near"])
    assert back_up(made.installation, IMAGES, None, SilentWatcher()).succeeded
    (made.first,) = snapshots(made)
    yield made
    made.close()


def snapshots(shelf):
    return shelf.installation.repository(NEAR).snapshots("bucket", IMAGES).found().usable


def brought_back(shelf, place, **choice):
    """The first snapshot, whatever other tests did since, unless told otherwise."""
    chosen = Choice(**({"label": shelf.first.label.text} | choice))
    return restore(shelf.installation, IMAGES, place, chosen, SilentWatcher())


def objects(s3, prefix):
    found = s3.list_objects_v2(Bucket="copies", Prefix=prefix).get("Contents", [])
    return {each["Key"].removeprefix(prefix): s3.get_object(Bucket="copies", Key=each["Key"])["Body"].read() for each in found}


def test_it_comes_back_with_what_its_objects_wear_and_the_place_bears_no_mark(shelf, s3):
    view = brought_back(shelf, "s3://copies/whole")
    assert view.succeeded
    assert objects(s3, "whole/") == BODIES
    worn = s3.head_object(Bucket="copies", Key="whole/a.png")
    assert (worn["ContentType"], worn["Metadata"]) == ("image/jpeg", {"by": "ann"})
    assert s3.get_object_tagging(Bucket="copies", Key="whole/a.png")["TagSet"] == [{"Key": "public", "Value": "yes"}]
    assert proof_of(view, "compare-restored")["contents"] == len(BODIES)


@pytest.mark.parametrize(
    ("only", "names"),
    [("products/", {name for name in BODIES if name.startswith("products/")}), ("products/18.jpg", {"products/18.jpg"})],
)
def test_one_object_or_those_below_a_prefix_come_back_alone(shelf, s3, only, names):
    place = f"part-{len(names)}"
    assert brought_back(shelf, f"s3://copies/{place}", only=only).succeeded
    assert objects(s3, f"{place}/") == {name: BODIES[name] for name in names}


def test_a_restore_that_fails_removes_what_it_wrote(shelf, s3):
    assert not brought_back(shelf, "s3://copies/nothing", only="no-such").succeeded
    assert objects(s3, "nothing/") == {}


@pytest.mark.parametrize(("place", "code"), [("/srv/found", "place_of_another_kind"), ("s3://UPPER", "place_of_another_kind")])
def test_a_place_that_is_no_bucket_is_refused(shelf, place, code):
    with pytest.raises(Refusal) as refused:
        brought_back(shelf, place)
    assert refused.value.code == code


def test_a_bucket_that_holds_something_is_refused_and_left_as_it_is(shelf, s3):
    s3.put_object(Bucket="copies", Key="taken/x", Body=b"x")
    view = brought_back(shelf, "s3://copies/taken")
    assert view.touched_nothing
    assert objects(s3, "taken/") == {"x": b"x"}


def test_the_next_snapshot_holds_what_was_changed_and_not_what_was_removed(shelf, s3):
    s3.put_object(Bucket="shop", Key="images/a.png", Body=b"another a")
    s3.put_object(Bucket="shop", Key="images/products/17 ä.jpg", Body=b"17")
    s3.delete_object(Bucket="shop", Key="images/products/18.jpg")
    assert back_up(shelf.installation, IMAGES, None, SilentWatcher()).succeeded
    assert brought_back(shelf, "s3://copies/later", label=None).succeeded
    expected = BODIES | {"a.png": b"another a"}
    del expected["products/18.jpg"]
    assert objects(s3, "later/") == expected
    assert brought_back(shelf, "s3://copies/earlier").succeeded
    assert objects(s3, "earlier/") == BODIES


def test_check_opens_it_and_says_what_keeps_it_from_being_read(shelf, s3):
    def source():
        found = check(shelf.stack_file, shelf.state).findings
        return next(each for each in found if (each.subject, each.aspect) == ("resource images", "source"))

    assert source().grade is Grade.OK
    text = shelf.stack_file.read_text()
    shelf.stack_file.write_text(text.replace("s3://shop/", "s3://no-such-bucket/"))
    try:
        assert source().grade is Grade.FAILURE
        assert source().change
    finally:
        shelf.stack_file.write_text(text)


def test_nobody_goes_on_with_a_run_whose_keys_are_not_there(shelf):
    newest = next(run for run in shelf.installation.records.runs() if run.procedure == Procedure.BACKUP)
    require_secrets(shelf.installation, newest.run)
    secret = shelf.directory / "secret"
    secret.rename(shelf.directory / "mislaid")
    try:
        shelf.write(resources=[line.strip() for line in shelf.stack_file.read_text().splitlines() if "images:" in line],
                    repositories=["near"])  # fmt: skip
        with pytest.raises(Refusal, match="secret_missing"):
            require_secrets(shelf.installation, newest.run)
    finally:
        (shelf.directory / "mislaid").rename(secret)


@pytest.mark.parametrize("folder", [b"", b"small", b"large" * 300_000])
def test_the_object_of_a_folder_comes_back_below_a_prefix_and_is_told_where_a_whole_bucket_has_no_name_for_it(shelf, s3, folder):
    """Consoles make such an object, by the name of the prefix, when somebody makes a folder."""
    s3.put_object(Bucket="shop", Key="images/", Body=folder)
    s3.put_object(Bucket="shop", Key="images/like the folder", Body=folder)
    whole = f"whole-{len(folder)}"
    s3.create_bucket(Bucket=whole)
    try:
        assert back_up(shelf.installation, IMAGES, None, SilentWatcher()).succeeded
        view = brought_back(shelf, f"s3://{whole}", label=None)
        assert brought_back(shelf, f"s3://copies/{whole}", label=None).succeeded
    finally:
        s3.delete_object(Bucket="shop", Key="images/")
        s3.delete_object(Bucket="shop", Key="images/like the folder")
    assert view.succeeded
    assert s3.get_object(Bucket=whole, Key="like the folder")["Body"].read() == folder
    (told,) = proof_of(view, "restore-snapshot")["fell_short"]
    assert "folder" in told
    assert objects(s3, f"{whole}/")[""] == folder


class NobodyWatches:
    def report(self, *_):
        pass

    requested = False

    def raise_if_requested(self):
        pass


@pytest.mark.parametrize("scratch_is_there", [True, False])
def test_what_others_put_there_meanwhile_stays_when_a_restore_fails(shelf, s3, scratch_is_there):
    """Where the run's own scratch file is there, the repository may be away: that may be why the restore failed."""
    place = f"shared-{scratch_is_there}"
    run = RunId(f"by-hand-{scratch_is_there}")
    request = snapshot_restore_request(shelf.installation, IMAGES, f"s3://copies/{place}", Choice(label=shelf.first.label.text))
    provision, restored, *_, discard = (each.step for each in plan_requested_snapshot_restore(shelf.installation, request).steps)
    world = shelf.installation.world_for(run, NobodyWatches(), NobodyWatches())
    provision.run(world)
    restored.run(world)
    s3.put_object(Bucket="copies", Key=f"{place}/upload.png", Body=b"of somebody else")
    near, away = shelf.directory / "near", shelf.directory / "near-away"
    if scratch_is_there:
        near.rename(away)
    else:
        discard_scratch(restored.index(world))
    try:
        evidence = discard.run(world)
    finally:
        if scratch_is_there:
            away.rename(near)
    assert objects(s3, f"{place}/") == {"upload.png": b"of somebody else"}
    assert evidence.proof["left"] == ["upload.png"]
    assert "upload.png" in evidence.hint
    assert not world.scratch.exists()
    assert discard.run(world).outcome is Outcome.SKIPPED
