"""What outlives a host, and the bare machine beside it."""

import os
from hashlib import sha256
from types import SimpleNamespace

from tests.app.kits import kit_text
from understudy.adapters.age import choose_sealer, new_identity
from understudy.app.adoption_wish import AdoptionWish
from understudy.app.installation import Installation
from understudy.app.repositories import prepare_repository
from understudy.repository.sealing import store_sealed
from understudy.repository.signing import Signer, new_signing_key
from understudy.stack.loader import load_stack
from understudy.vocabulary.identifiers import RepositoryName

NOWHERE = SimpleNamespace(replication_url="host=127.0.0.1 port=1", port=1, programs="/nowhere")
NEAR = RepositoryName("near")


class Left:
    """What outlives a host: a repository, and the kit. ``run`` is what ran there with a stack file before."""

    def __init__(self, desk):
        self.desk = desk
        self.directory = desk.directory / "repository"
        self.kit_identity, self.kit_recipient = new_identity()
        self._signing_key = new_signing_key()
        self.signer = Signer(self._signing_key).public_key
        desk.secret_file("signing-key", self._signing_key.reveal())
        self.kit = self.write_kit()
        self.bare = desk.directory / "bare"
        self.bare.mkdir()

    def write_kit(self, signer=None, identity=None, recipient=None, name="kit"):
        text = kit_text(
            identity or self.kit_identity, recipient or self.kit_recipient, signer or self.signer, f"file://{self.directory}"
        )
        return self.desk.secret_file(name, text)

    def encryption(self, *signers):
        return (
            f"recipients: [{self.desk.recipient}, {self.kit_recipient}]   # mine, and the kit's",
            f"identity: file:{self.desk.identity_file}",
            f"signing_key: file:{self.desk.directory}/signing-key",
            f"signers: [{', '.join(signers or (self.signer,))}]",
        )

    def run(self, *resource_lines, encryption=(), repository="", edit=str):
        self.desk.write(NOWHERE, *resource_lines, encryption=encryption or self.encryption(), repository=repository)
        self.desk.stack_file.write_text(edit(self.desk.stack_file.read_text()))
        installation = Installation.open(self.desk.stack_file, self.desk.state)
        prepare_repository(installation, NEAR)
        self.text = self.desk.stack_file.read_text()
        return installation

    def put_stack_file(self, text, written="20990101T000000Z"):
        """As a stranger does, who can write to the store and knows the recipients."""
        content = text.encode()
        key = f"stack/{written}-{sha256(content).hexdigest()}.yaml.zst.age"
        store_sealed(self.store(), choose_sealer(), key, [content], (self.desk.recipient, self.kit_recipient))
        return sha256(content).hexdigest()

    def store(self):
        return Installation.looked_at(load_stack(self.desk.stack_file), self.desk.state).stores[NEAR]

    def sign(self, document):
        return Signer(self._signing_key).seal_document(document)

    def wish(self, **options):
        named = {
            "repository": str(self.directory),
            "kit": self.kit,
            "output": self.bare / "understudy.yaml",
            "state": self.bare / "state",
        }
        return AdoptionWish(**named | options)

    def contents(self):
        """Of the bare machine, and of the repository."""
        return [sorted(map(str, directory.rglob("*"))) for directory in (self.bare, self.directory)]


def in_a_child(what):
    child = os.fork()
    if child == 0:
        try:
            what()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1]
