"""The recipes of docs/commands-and-redis.md, carried out as they stand there, with other paths."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
import tempfile

import pytest

from tests.app.shelf import Shelf, SilentWatcher, proof_of, tree
from tests.room import new_path
from tests.tidy.sources import ROOT
from understudy.app.backups import back_up
from understudy.app.loading import load
from understudy.plan.request import Choice
from understudy.vocabulary.identifiers import Person

PAGE = (ROOT / "docs" / "commands-and-redis.md").read_text()
RECIPES = dict(re.findall(r"```yaml\n  (\w+):\n(.*?)```", PAGE.partition("### Recipes")[2].partition("\n## ")[0], re.S))
IMAGE = "docker://registry.example/shop@sha256:7a24d2760230fd372e0c9941cfbcf63533da23e5bbe58feff1f51d53911ac8f7"


@pytest.fixture
def shelf():
    directory = new_path("shelf")
    directory.mkdir()
    made = Shelf(directory)
    made.docs.mkdir()
    yield made
    made.close()


def follow(shelf, name, places):
    """Declare the recipe, with the places that it names replaced."""
    text = f"{name}:\n{RECIPES[name]}"
    for written, there in places.items():
        assert written in text, "the recipe names it"
        text = text.replace(written, str(there))
    shelf.write(resources=text.splitlines())


def kept(shelf, name):
    view = back_up(shelf.installation, name, None, SilentWatcher())
    assert view.succeeded, [step.error for step in view.steps if step.error]
    return proof_of(view, "take-snapshot")


def loaded(shelf, name):
    view = load(shelf.installation, name, Choice(), SilentWatcher(), Person("anna"))
    assert view.succeeded, [step.error for step in view.steps if step.error]


def git(*words, at):
    identity = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
    done = subprocess.run(["git", "-C", at, *words], env={**os.environ, **identity}, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_git_repository_comes_back_with_every_branch_and_tag_and_is_stored_once(shelf):
    work, repository = shelf.directory / "work", shelf.directory / "shop.git"
    for path in (work, repository):
        path.mkdir()
    git("init", "--quiet", "--bare", at=repository)
    git("init", "--quiet", at=work)
    for number in range(3):
        (work / "file").write_text(f"{number}\n" * 1000)
        git("add", "file", at=work)
        git("commit", "--quiet", "-m", f"change {number}", at=work)
    git("tag", "v1", at=work)
    git("push", "--quiet", str(repository), "HEAD:main", "HEAD~1:refs/heads/old", "v1", at=work)
    before = git("for-each-ref", at=repository)
    follow(shelf, "sources", {"/srv/git/shop.git": repository})
    kept(shelf, "sources")
    kept(shelf, "sources")
    assert len(list(shelf.directory.glob("near/command/sources/parts/*"))) == 1

    shutil.rmtree(repository)
    loaded(shelf, "sources")
    assert git("for-each-ref", at=repository) == before
    git("fsck", "--full", "--strict", at=repository)


def test_secrets_come_back_with_their_modes(shelf):
    secrets = shelf.directory / "secrets"
    (secrets / "tls").mkdir(parents=True)
    (secrets / "tls" / "key").write_text("key")
    (secrets / "tls" / "key").chmod(0o400)
    (secrets / "token").write_text("token")
    (secrets / "token").chmod(0o640)
    os.utime(secrets / "tls" / "key", (1_700_000_000, 1_700_000_000))
    os.utime(secrets / "token", (1_700_000_000, 1_700_000_000))
    os.utime(secrets / "tls", (1_700_000_000, 1_700_000_000))
    before = tree(secrets)
    follow(shelf, "secrets", {"/etc/shop/secrets": secrets})
    kept(shelf, "secrets")

    shutil.rmtree(secrets)
    secrets.mkdir()
    loaded(shelf, "secrets")
    assert tree(secrets) == before


def layout_with_an_image(directory):
    """As small as an image can be, as a directory; its digest."""
    (directory / "blobs" / "sha256").mkdir(parents=True)

    def blob(content):
        digest = hashlib.sha256(content).hexdigest()
        (directory / "blobs" / "sha256" / digest).write_bytes(content)
        return {"digest": f"sha256:{digest}", "size": len(content)}

    files = io.BytesIO()
    with tarfile.open(fileobj=files, mode="w") as archive:
        member = tarfile.TarInfo("hello")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    layer = files.getvalue()
    differences = [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    about = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": differences}}
    kind = "application/vnd.oci.image"
    config = {"mediaType": f"{kind}.config.v1+json", **blob(json.dumps(about).encode())}
    layers = [{"mediaType": f"{kind}.layer.v1.tar+gzip", **blob(gzip.compress(layer, mtime=0))}]
    manifest = {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": config, "layers": layers}
    named = {"mediaType": f"{kind}.manifest.v1+json", **blob(json.dumps(manifest).encode())}
    named["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
    (directory / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))
    (directory / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return named["digest"]


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_a_container_image_comes_back_under_its_digest(shelf, monkeypatch):
    """Out of a directory and into one: there is no registry here."""
    policy = shelf.directory / "home" / ".config" / "containers" / "policy.json"
    policy.parent.mkdir(parents=True)
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    monkeypatch.setenv("HOME", str(shelf.directory / "home"))
    monkeypatch.setattr(tempfile, "tempdir", tempfile.gettempdir())  # of this process it stays what it is
    monkeypatch.setenv("TMPDIR", str(shelf.directory))
    digest = layout_with_an_image(shelf.directory / "registry")
    restored = shelf.directory / "restored"
    places = {IMAGE: f"oci:{shelf.directory}/registry:v1", "docker://registry.example/shop:restored": f"oci:{restored}:v1"}
    follow(shelf, "images", places)
    kept(shelf, "images")

    shutil.rmtree(shelf.directory / "registry")
    loaded(shelf, "images")
    [image] = json.loads((restored / "index.json").read_text())["manifests"]
    assert image["digest"] == digest
    assert (restored / "blobs" / "sha256" / digest.removeprefix("sha256:")).exists()
    assert not list(shelf.directory.glob("tmp.*")), "and nothing of it is left on the way"
