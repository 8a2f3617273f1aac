"""A directory that is kept in two repositories on disks: what a person has on the shelf who protects no database."""

import base64
import os
import secrets
import shutil
import subprocess
from copy import copy as copy_of
from pathlib import Path

from understudy.adapters.age import new_identity
from understudy.app.backups import back_up
from understudy.app.installation import Installation
from understudy.app.recoveries import restore
from understudy.plan.request import Choice
from understudy.vocabulary.identifiers import RepositoryName, ResourceName, SnapshotLabel

DOCS, NEAR, FAR = ResourceName("docs"), RepositoryName("near"), RepositoryName("far")


class SilentWatcher:
    def show(self, view):
        pass

    def ask(self, step):
        return None


class Shelf:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.docs = directory / "docs"
        self.state = directory / "state"
        self.stack_file = directory / "understudy.yaml"
        identity, self.recipient = new_identity()
        self.secret_file("identity", identity.reveal())
        self.secret_file("signing-key", base64.b64encode(secrets.token_bytes(32)).decode())
        self.write()

    def copied_to(self, directory: Path) -> "Shelf":
        """The same at another place, with all that is stored and remembered."""
        subprocess.run(["cp", "-a", self.directory, directory], check=True)  # hard links stay what they are
        copy = copy_of(self)
        copy.directory, copy.docs, copy.state = directory, directory / "docs", directory / "state"
        copy.stack_file = directory / "understudy.yaml"
        copy.write(*self.lines)
        return copy

    def secret_file(self, name, content):
        path = self.directory / name
        path.write_text(content)
        path.chmod(0o600)

    lines = ()

    def write(self, *lines, resources=(), services=(), repositories=("near", "far"), identity=True):
        """``lines`` of the resource docs, ``resources`` beside it, and ``services``."""
        self.lines = lines
        text = [
            "stack: shelf",
            "repositories:",
            *(f"  {name}: {{url: 'file://{self.directory}/{name}'}}" for name in repositories),
            "encryption:",
            f"  recipients: [{self.recipient}]",
            *([f"  identity: file:{self.directory}/identity"] if identity else []),
            f"  signing_key: file:{self.directory}/signing-key",
            "resources:",
            "  docs:",
            "    kind: files",
            f"    path: {self.docs}",
            *(f"    {line}" for line in lines),
            *(f"  {line}" for line in resources),
            *(["services:"] if services else []),
            *(f"  {line}" for line in services),
        ]
        self.stack_file.write_text("\n".join(text) + "\n")
        self.installation = Installation.open(self.stack_file, self.state)

    def fill(self):
        """A file in two directories, a link of each kind, an empty one, and one that has a part of its own."""
        (self.docs / "contracts" / "2026").mkdir(parents=True)
        (self.docs / "contracts" / "2026" / "lease.txt").write_text("the lease")
        (self.docs / "notes.txt").write_text("notes")
        (self.docs / "notes.txt").chmod(0o640)
        (self.docs / "empty").touch()
        (self.docs / "photo.raw").write_bytes(os.urandom(40_000))
        (self.docs / "latest").symlink_to("contracts/2026")
        (self.docs / "notes-again.txt").hardlink_to(self.docs / "notes.txt")

    def back_up(self, kind=None, **options):
        view = back_up(self.installation, DOCS, kind, SilentWatcher(), **options)
        assert view.succeeded, [(step.key, step.error) for step in view.steps if step.error]
        return view

    def restore(self, place="found", **choice):
        return restore(self.installation, DOCS, self.directory / place, Choice(**choice), SilentWatcher())

    def snapshots(self, repository=NEAR):
        found = self.installation.repository(repository).snapshots("files", DOCS).found()
        assert found.unusable == ()
        return found.usable

    def labels(self, repository=NEAR):
        return [each.label.text for each in self.snapshots(repository)]

    def parts(self, repository=NEAR):
        return {path.name for path in self.folder(repository).glob("parts/*")}

    def folder(self, repository=NEAR):
        return self.directory / repository / "files" / "docs"

    def stored(self, repository=NEAR):
        """Everything of the resource that lies there, by its path."""
        return {str(path.relative_to(self.folder(repository))) for path in self.folder(repository).rglob("*") if path.is_file()}

    def close(self):
        shutil.rmtree(self.directory)


def proof_of(view, verb):
    return next(step.evidence.proof for step in view.steps if step.key.endswith(f"/{verb}"))


def tree(directory):
    """What a person sees of a directory: kinds, contents, modes, times; and which names are of one file."""
    found = {}
    for path in sorted(directory.rglob("*")):
        seen = path.lstat()
        content = path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else "directory"
        found[str(path.relative_to(directory))] = (content, seen.st_mode, seen.st_mtime_ns, seen.st_nlink)
    return found


def flip(path):
    """One bit in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.chmod(0o600)
    path.write_bytes(content)


def begun(label):
    return SnapshotLabel(label).begun
