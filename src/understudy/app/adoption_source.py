"""What ``adopt`` finds before it writes anything: the kit, the repository, and the stack file that is kept there.

Nothing that the repository says about itself is believed: it is one of Understudy's because a key that the kit names has
signed it, and its stack file counts because such a key has signed the note beside it. Sealing proves nothing: everybody can
seal to public keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from understudy.adapters.age.choice import choose_sealer
from understudy.adapters.clock.system import SystemClock
from understudy.adapters.files.file_store import INCOMING
from understudy.app.adoption_wish import AdoptionWish, fit_option
from understudy.app.recovery_kit import KitContents
from understudy.app.stores import store_for
from understudy.ports.object_store import ObjectStore
from understudy.ports.world import Keys
from understudy.repository.catalog import Repository
from understudy.repository.description import RepositoryDescription
from understudy.repository.layout import DESCRIPTION_KEY
from understudy.repository.sealing import read_sealed
from understudy.repository.stack_files import KeptStackFile, StackFileNote, kept_stack_files, read_note
from understudy.stack.loader import LARGEST_BYTES, LoadedStack, parse_stack
from understudy.stack.models import RepositorySettings
from understudy.stack.values import parse_signer
from understudy.vocabulary.errors import GiveUp, Refusal, TryAgain, UnderstudyError

_SHORTEST_DIGEST = 8
_LOOKED_THROUGH = 20
"""Stack files that are older than the newest, in the search for one that can be believed: each is a request to the store."""


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """Reachable, one of Understudy's, in a format that is known, and signed by somebody whom the kit or the person names."""

    settings: RepositorySettings
    store: ObjectStore
    repository: Repository
    keys: Keys
    description: RepositoryDescription


@dataclass(frozen=True, slots=True)
class ChosenStackFile:
    kept: KeptStackFile
    loaded: LoadedStack
    note: StackFileNote | None
    """None: nobody who is believed has signed it; a person named it by its digest."""


def find_repository(settings: RepositorySettings, wish: AdoptionWish, kit: KitContents) -> FoundRepository:
    """
    Raises:
        Refusal: ``option_malformed``, ``kit_of_another``, ``format_newer``.
        GiveUp: ``repository_missing``, ``secret_missing``; and what the store raises.
    """
    signers = frozenset(kit.signers) | {fit_option("--signer", parse_signer, each) for each in wish.signers}
    store = store_for(settings, SystemClock())
    keys = Keys(recipients=(kit.recipient,), identity=kit.identity, signing_key=None, trusted_signers=signers)
    repository = Repository(store, choose_sealer(), keys)
    try:
        description = repository.describe()
    except (GiveUp, TryAgain) as error:
        raise _explained(error, settings.url, kit) from error
    return FoundRepository(settings, store, repository, keys, description)


def choose_stack_file(found: FoundRepository, wish: AdoptionWish, kit: KitContents) -> ChosenStackFile:
    """The newest one, if it can be believed; or the one that the person names.

    Raises:
        Refusal: ``stack_file_not_kept``, ``stack_file_unsigned``, ``stack_file_untrusted``, ``stack_file_altered``,
            ``signers_differ``, ``kit_opens_nothing``, ``option_malformed``; ``stack_file_invalid`` as ``StackFileInvalid``.
        GiveUp: ``part_corrupt``; and what the store raises.
    """
    kept = kept_stack_files(found.store)
    chosen = _candidate(kept, found, wish)
    read = _note_of(found, chosen)
    note = read if isinstance(read, StackFileNote) and _is_believed(read, found) else None
    loaded = _opened(found, chosen, kit)
    if note is None and wish.stored is None:
        raise _untrusted(found, kept, loaded, read)
    if strangers := _strangers(loaded.stack.encryption.signers, found):
        raise _signers_differ(chosen, strangers, found)
    return ChosenStackFile(chosen, loaded, note)


def shown_stack_file(found: FoundRepository, wish: AdoptionWish, kit: KitContents) -> str:
    """The text of that one, to be looked at, whoever put it there. Raises as ``choose_stack_file`` does."""
    return _opened(found, _candidate(kept_stack_files(found.store), found, wish), kit).content.decode("utf-8-sig")


def repository_name(chosen: ChosenStackFile, settings: RepositorySettings, name: str | None) -> str:
    """What the stack file calls the repository that is adopted: as the person says, by its address, as the signed note says, or
    because there is no other.

    Raises:
        Refusal: ``no_such_repository``, ``repository_unnamed``, ``repository_misnamed``.
    """
    known = chosen.loaded.stack.repositories
    at_the_address = next((each for each, declared in known.items() if declared.url == settings.url), None)
    if name is not None:
        _require_fitting(name, at_the_address, settings.url, tuple(known))
        return name
    if at_the_address is not None:
        return at_the_address
    if chosen.note is not None and chosen.note.repository in known:
        return chosen.note.repository
    if len(known) == 1:
        return next(iter(known))
    raise Refusal(
        "repository_unnamed",
        found=f"{settings.url} is the address of none of {', '.join(f'{each} ({known[each].url})' for each in known)}",
        expected="to know which of them it is, or was copied from",
        hint=f"name it: --as {' or --as '.join(known)}",
    )


def _require_fitting(name: str, at_the_address: str | None, url: str, known: Sequence[str]) -> None:
    if name not in known:
        raise Refusal(
            "no_such_repository",
            found=f"no repository is called {name!r}",
            expected=f"one of {', '.join(known)}, as the stack file that is kept there calls them",
            hint="leave --as out where it has the address that the stack file knows",
        )
    if at_the_address not in (None, name):
        raise Refusal(
            "repository_misnamed",
            found=f"{url} is the address of {at_the_address} in the stack file, and is to be adopted as {name}",
            expected="an address of its own for each repository",
            hint=f"adopt it as {at_the_address} (leave --as out), or mount the copy of {name} at another place",
        )


def _explained(error: UnderstudyError, url: str, kit: KitContents) -> UnderstudyError:
    directory = Path(url.removeprefix("file://"))
    if error.code == "store_unreachable" and url.startswith("file:") and (directory / DESCRIPTION_KEY).is_file():
        return GiveUp(
            "repository_incomplete",
            found=f"{directory} holds a repository, and not the directory {INCOMING} beside it",
            expected="both: by the second, which copies often leave out, a disk is told from a mount point where none is mounted",
            hint=f"if it is a copy, make it: mkdir {directory / INCOMING}",
        )
    if error.code == "store_unreachable":
        asked = "its disk mounted (findmnt)" if url.startswith("file:") else "--endpoint too, and the network up"
        return TryAgain(
            error.code, found=error.found, expected=error.expected, hint=f"is the address right, and {asked}? {_addresses(kit)}"
        )
    if error.code == "repository_missing":
        return GiveUp(
            "repository_missing",
            found=error.found,
            expected="a repository of Understudy: the directory, or the bucket and prefix, in which repository.json lies",
            hint=f"is it mounted, and copied whole? {_addresses(kit)}",
        )
    if error.code != "signature_untrusted":
        return error
    return Refusal(
        "kit_of_another",
        found=f"{url} is signed by none of the kit's signers: {error.found}",
        expected=f'a repository of the stack "{kit.stack}", signed by {" or ".join(kit.signers)}',
        hint=f"take the kit of this repository, or the repository of this kit. {_addresses(kit)}. Where the signing key was "
        "changed since the kit was written, and you know the new one from elsewhere than this repository: --signer KEY",
    )


def _addresses(kit: KitContents) -> str:
    return f"The kit names {', '.join(url for _, url in kit.repositories)}"


def _candidate(kept: Sequence[KeptStackFile], found: FoundRepository, wish: AdoptionWish) -> KeptStackFile:
    if not kept:
        raise Refusal(
            "stack_file_not_kept",
            found=f"no stack file is kept in {found.settings.url}",
            expected="one below stack/, where the first backup stores it",
            hint="another copy of the repository may have it; or write one by hand (docs/stack-file.md), with this repository, "
            "and the kit's file as encryption.identity, and its signers. RECOVERY.md in the repository needs none",
        )
    return kept[0] if wish.stored is None else _named(kept, wish.stored)


def _named(kept: Sequence[KeptStackFile], beginning: str) -> KeptStackFile:
    found = [each for each in kept if each.digest.startswith(beginning)]
    if len({each.digest for each in found}) == 1 and len(beginning) >= _SHORTEST_DIGEST:
        return found[0]
    raise Refusal(
        "option_malformed",
        found=f"--stored {beginning!r}",
        expected=f"the first {_SHORTEST_DIGEST} or more digits of one of these: "
        f"{', '.join(f'{each.digest[:12]} ({_told(each)})' for each in kept[:_LOOKED_THROUGH])}",
        hint="take what an earlier message, or the name of the file below stack/ says",
    )


def _note_of(found: FoundRepository, kept: KeptStackFile) -> StackFileNote | str:
    """The note, whoever has signed it; else why there is none that counts."""
    if not kept.noted:
        return "it is not signed"
    try:
        return read_note(found.store, kept)
    except GiveUp as error:
        if error.code.startswith(("signature_", "document_", "object_")):
            return f"the note beside it cannot be believed: {error.found}"
        raise


def _opened(found: FoundRepository, kept: KeptStackFile, kit: KitContents) -> LoadedStack:
    content = bytearray()
    try:
        for piece in read_sealed(found.store, choose_sealer(), kept.key, kit.identity):
            content += piece
            if len(content) > LARGEST_BYTES:
                raise _altered(kept, f"more than {LARGEST_BYTES} bytes")
    except GiveUp as error:
        if error.code != "wrong_key":
            raise
        raise Refusal(
            "kit_opens_nothing",
            found=f"the kit's key ({kit.recipient}) does not open {kept.key}",
            expected="a stack file that is sealed to it",
            hint="was the kit written for this stack, and is its recipient still among encryption.recipients? A newer kit may be "
            f"in the safe; an older stack file that it opens can be named: --stored SHA256 (this one is {kept.digest[:12]})",
        ) from error
    if hashlib.sha256(content).hexdigest() != kept.digest:
        raise _altered(kept, f"SHA-256 {hashlib.sha256(content).hexdigest()}")
    return parse_stack(bytes(content), kept.key)


def _altered(kept: KeptStackFile, found: str) -> Refusal:
    return Refusal(
        "stack_file_altered",
        found=f"{kept.key} holds another text than its name says: {found}",
        expected=f"SHA-256 {kept.digest}",
        hint="somebody put it there. Name one that you know (--stored SHA256), or take another copy of the repository",
    )


def _untrusted(found: FoundRepository, kept: Sequence[KeptStackFile], loaded: LoadedStack, read: StackFileNote | str) -> Refusal:
    """Whoever can write to the store can put a stack file there, and it decides what runs here, and to whom is sealed."""
    newest = kept[0]
    signed = isinstance(read, StackFileNote)
    strangers = _strangers(loaded.stack.encryption.signers, found)
    readers = sorted(set(loaded.stack.encryption.recipients) - {*found.description.recipients, *found.keys.recipients})
    told = [
        f"the newest stack file, of {_told(newest)}, is signed by {read.signer}, whom the kit does not name"
        if isinstance(read, StackFileNote)
        else f"the newest stack file, of {_told(newest)}: {read}",
        f"it names signers that the kit does not: {', '.join(strangers)}" if strangers else "it names no signers but the kit's",
        *([f"it seals to recipients that repository.json does not name: {', '.join(readers)}"] if readers else []),
        f"it knows of {', '.join(loaded.stack.resources)}",
    ]
    trusted = (each for each in kept[1:_LOOKED_THROUGH] if _is_believed(_note_of(found, each), found))
    older = next(trusted, None)
    ways = [
        "if that is the key that adopt or understudy check printed on the host that ran last, add it to the kit as a line "
        f'"#   signer: …", or: --signer {read.signer}'
        if isinstance(read, StackFileNote)
        else f"if it is yours, of a version of Understudy that signed none: --stored {newest.digest[:12]}",
        *(
            [f"take the newest that is signed by the kit's signer, of {_told(older)}: --stored {older.digest[:12]}"]
            if older
            else []
        ),
        "look at it first: the same command with --show",
    ]
    return Refusal(
        "stack_file_untrusted" if signed else "stack_file_unsigned",
        found="; ".join(told),
        expected="one that a signer whom the kit names has signed: it says what is run here, and who can read what is backed up",
        hint="; or ".join(ways[:-1]) + f". {ways[-1].capitalize()}",
    )


def _is_believed(read: StackFileNote | str, found: FoundRepository) -> bool:
    return isinstance(read, StackFileNote) and read.signer in found.keys.trusted_signers


def _signers_differ(chosen: KeptStackFile, strangers: Sequence[str], found: FoundRepository) -> Refusal:
    return Refusal(
        "signers_differ",
        found=f"the stack file of {_told(chosen)} names signers that the kit does not: {', '.join(strangers)}",
        expected=f"the kit's signers, and no others: {', '.join(sorted(found.keys.trusted_signers))}",
        hint="what those keys have signed would be believed. Was a key added since the kit was written, by adopt or by you? "
        f"If you know it from elsewhere than this repository: {' '.join(f'--signer {each}' for each in strangers)}",
    )


def _strangers(signers: Iterable[str], found: FoundRepository) -> list[str]:
    return [each for each in signers if each not in found.keys.trusted_signers]


def _told(kept: KeptStackFile) -> str:
    return f"{kept.written_at:%Y-%m-%d %H:%M:%S} UTC"
