"""``adopt``: from a repository's address and the recovery kit to a host that can recover all of it.

Everything is looked at before anything is written, and nothing is written to the repository.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from understudy.adapters.age.choice import choose_sealer
from understudy.app.adopted_stack_file import AdoptedKeys, StackChange, adopted_stack_file
from understudy.app.adoption_source import (
    FoundRepository,
    choose_stack_file,
    find_repository,
    repository_name,
    shown_stack_file,
)
from understudy.app.adoption_state import AdoptedState
from understudy.app.adoption_survey import HeldResource, MissingCredential, missing_credentials, survey
from understudy.app.adoption_wish import AdoptionWish, plain_path, settings_of
from understudy.app.recovery_kit import KitContents, read_kit
from understudy.app.state_directory import default_state_directory
from understudy.repository.catalog import Repository
from understudy.repository.epochs import ControllerEpoch
from understudy.repository.signing import Signer, new_signing_key
from understudy.stack.loader import LoadedStack, load_stack
from understudy.stack.models import Stack
from understudy.vocabulary.errors import GiveUp, Refusal


@dataclass(frozen=True, slots=True)
class AdoptedRepository:
    name: str
    url: str
    repository_id: str
    created: datetime
    controller: str | None
    """Who may write there now, by its random name; None where nobody ever did."""
    claimed: datetime | None
    is_this_hosts: bool
    """Whether that is this host: a recovery took it over."""


@dataclass(frozen=True, slots=True)
class StoredStackFile:
    key: str
    written: datetime
    signer: str | None
    """Who has signed it and is believed; None where a person named it unsigned."""


@dataclass(frozen=True, slots=True)
class Adoption:
    """What was found, and what is on this host now."""

    already: bool
    """Everything was there, of the same repository; nothing was written."""
    stack: str
    stack_file: Path
    state: Path
    identity_file: Path
    signer: str | None
    """The public half of the new signing key; None where nothing was written."""
    repository: AdoptedRepository
    stored: StoredStackFile | None
    """None where nothing was written."""
    changes: tuple[StackChange, ...]
    resources: tuple[HeldResource, ...]
    missing: tuple[MissingCredential, ...]
    other_repositories: Mapping[str, str]
    """Name and address: as the stored stack file has them."""
    kit_signers_left_out: tuple[str, ...]
    """Signers of the kit that the stack file does not name any more: what they have signed is not believed here."""


def adopt(wish: AdoptionWish) -> Adoption:
    """Twice is the same as once.

    Raises:
        Refusal: ``already_there``, ``stack_in_use``, ``controller_untrusted``; and as ``read_kit``, ``settings_of``,
            ``find_repository``, ``choose_stack_file`` and ``repository_name`` do.
        GiveUp: ``place_denied``, ``state_unwritable``, ``repository_missing``; and what the store raises.
    """
    kit, found = _looked_at(wish)
    output = plain_path(wish.output)
    before = _adopted_before(wish, output, found)
    if before is not None:
        return _as_it_is(*before, found, kit)
    chosen = choose_stack_file(found, wish, kit)
    name, stack = repository_name(chosen, found.settings, wish.name), chosen.loaded.stack
    state = AdoptedState(plain_path(wish.state or default_state_directory(stack)), output)
    state.require_free(found.description.repository_id)
    held, epoch = survey(found.repository, stack), _current_epoch(found)

    def written(signer: str) -> tuple[LoadedStack, tuple[StackChange, ...]]:
        keys = AdoptedKeys(state.identity, state.signing_key, signer, found.keys.trusted_signers)
        return adopted_stack_file(chosen.loaded, keys, name, found.settings, state.directory if wish.state else None)

    written(Signer(new_signing_key()).public_key)  # what stands against it is told before anything is made
    with state.begun(name, found.description.repository_id):
        state.keep_identity(kit.identity)
        signer = state.make_signing_key()
        for resource, newest in held.newest.items():
            state.remember(resource, newest)
        loaded, changes = written(signer)
        state.write_stack_file(loaded.content.decode())
    return Adoption(
        already=False,
        stack=stack.stack,
        stack_file=output,
        state=state.directory,
        identity_file=state.identity,
        signer=signer,
        repository=_adopted(found, state, name, epoch),
        stored=StoredStackFile(chosen.kept.key, chosen.kept.written_at, chosen.note.signer if chosen.note else None),
        changes=changes,
        resources=held.resources,
        missing=missing_credentials(loaded.stack, kit),
        other_repositories=_others(stack, name),
        kit_signers_left_out=_left_out(stack, kit),
    )


def stored_stack_file(wish: AdoptionWish) -> str:
    """The text that ``adopt`` would begin from, signed or not; nothing is written. Raises as ``adopt`` does."""
    kit, found = _looked_at(wish)
    return shown_stack_file(found, wish, kit)


def _looked_at(wish: AdoptionWish) -> tuple[KitContents, FoundRepository]:
    kit = read_kit(wish.kit)
    return kit, find_repository(settings_of(wish, kit), wish, kit)


def _adopted_before(wish: AdoptionWish, output: Path, found: FoundRepository) -> tuple[LoadedStack, AdoptedState, str] | None:
    """Where the stack file and its state directory are of this repository already: they, and what the repository is called."""
    try:
        loaded = load_stack(output)
    except Refusal:
        return None
    state = AdoptedState(plain_path(wish.state or default_state_directory(loaded.stack)), output)
    name = state.adopted_as(found.description.repository_id)
    return None if name is None else (loaded, state, name)


def _as_it_is(loaded: LoadedStack, state: AdoptedState, name: str, found: FoundRepository, kit: KitContents) -> Adoption:
    """What this host's own stack file says is believed here."""
    stack = loaded.stack
    state.tidy()
    keys = replace(found.keys, trusted_signers=found.keys.trusted_signers | frozenset(stack.encryption.signers))
    known = replace(found, keys=keys, repository=Repository(found.store, choose_sealer(), keys))
    return Adoption(
        already=True,
        stack=stack.stack,
        stack_file=state.stack_file,
        state=state.directory,
        identity_file=state.identity,
        signer=None,
        repository=_adopted(known, state, name, _current_epoch(known)),
        stored=None,
        changes=(),
        resources=survey(known.repository, stack).resources,
        missing=missing_credentials(stack, kit),
        other_repositories=_others(stack, name),
        kit_signers_left_out=_left_out(stack, kit),
    )


def _current_epoch(found: FoundRepository) -> ControllerEpoch | None:
    try:
        return found.repository.current_epoch()
    except GiveUp as error:
        if error.code != "signature_untrusted":
            raise
        raise Refusal(
            "controller_untrusted",
            found=f"the repository was last taken over by somebody whom the kit does not name: {error.found}",
            expected="a controller that one of the kit's signers vouches for: without, nobody here could take it over",
            hint="adopt prints the key that its host signs with; if you know this one from there: --signer KEY",
        ) from error


def _adopted(found: FoundRepository, state: AdoptedState, name: str, epoch: ControllerEpoch | None) -> AdoptedRepository:
    return AdoptedRepository(
        name=name,
        url=found.settings.url,
        repository_id=found.description.repository_id,
        created=found.description.created,
        controller=None if epoch is None else epoch.controller,
        claimed=None if epoch is None else epoch.claimed,
        is_this_hosts=epoch is not None and epoch.controller == state.controller(),
    )


def _others(stack: Stack, name: str) -> Mapping[str, str]:
    return {each: settings.url for each, settings in stack.repositories.items() if each != name}


def _left_out(stack: Stack, kit: KitContents) -> tuple[str, ...]:
    named = stack.encryption.signers
    return tuple(each for each in kit.signers if named and each not in named)
