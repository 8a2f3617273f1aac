"""``repository.json``: what this store is, and how and to whom its contents are sealed.

What is sealed with age needs no field that says so, as in version 1. Version 2 has one: an older program, which would take for
damage what it cannot open, refuses it as too new.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from understudy.ports.object_store import ObjectStore
from understudy.ports.world import Keys
from understudy.repository.documents import Fields
from understudy.repository.layout import DESCRIPTION_KEY, FORMAT_VERSION, NEWEST_FORMAT_VERSION
from understudy.repository.signing import Signer, malformed, read_document
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.json import JsonObject
from understudy.vocabulary.sealing import Sealing

DOCUMENT = "understudy/repository"


@dataclass(frozen=True, slots=True)
class RepositoryDescription:
    """``recipients`` are those at the time of creation; what is sealed later goes to those of the stack file."""

    repository_id: str
    created: datetime
    recipients: tuple[str, ...]
    sealing: Sealing = Sealing.AGE

    def to_json(self) -> JsonObject:
        of_age = self.sealing is Sealing.AGE
        return {
            "document": DOCUMENT,
            "format_version": FORMAT_VERSION if of_age else NEWEST_FORMAT_VERSION,
            "repository_id": self.repository_id,
            "created": self.created.isoformat(),
            "recipients": list(self.recipients),
            **({} if of_age else {"sealing": self.sealing.value}),
        }

    @classmethod
    def from_json(cls, document: JsonObject) -> RepositoryDescription:
        """Strictly.

        Raises:
            GiveUp: ``document_malformed``.
            Refusal: ``format_newer``.
        """
        fields = Fields.of(document, DOCUMENT, NEWEST_FORMAT_VERSION)
        sealing = fields.text("sealing") if fields.has("sealing") else Sealing.AGE.value
        if sealing not in {each.value for each in Sealing}:
            raise malformed(f"a repository that is sealed with {sealing!r}", f"one of {', '.join(Sealing)}")
        texts = fields.text("repository_id"), fields.moment("created"), fields.texts("recipients")
        fields.finish()
        return cls(*texts, Sealing(sealing))


def read_description(store: ObjectStore, keys: Keys) -> RepositoryDescription:
    try:
        stored = b"".join(store.read(DESCRIPTION_KEY))
    except GiveUp as error:
        if error.code != "object_missing":
            raise
        raise GiveUp(
            "repository_missing",
            found=f"no {DESCRIPTION_KEY} in {store.url}",
            expected="a repository that understudy made",
            hint="check the address in the stack file; a new repository is made by the first backup: understudy backup RESOURCE",
        ) from error
    return RepositoryDescription.from_json(read_document(stored, keys.trusted_signers))


def write_description(
    store: ObjectStore, keys: Keys, repository_id: str, created: datetime, sealing: Sealing
) -> RepositoryDescription:
    """Unless one of the same id is there."""
    wanted = RepositoryDescription(repository_id, created, keys.recipients, sealing)
    if store.head(DESCRIPTION_KEY) is None:
        try:
            store.put(DESCRIPTION_KEY, [Signer.of(keys).seal_document(wanted.to_json())])
        except GiveUp as error:
            if error.code != "object_exists":
                raise
        else:
            return wanted
    there = read_description(store, keys)
    if there.repository_id != repository_id:
        raise Refusal(
            "repository_of_another",
            found=f"{store.url} holds the repository {there.repository_id}, made {there.created.isoformat()}",
            expected="an empty place, or this repository",
            hint="give each stack a place of its own",
        )
    return there
