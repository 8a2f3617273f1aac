"""Who answers where the old server was, and whether a recovery may go on beside that.

Looked at twice by the same rules: before a person is asked, and by the fence, because much may happen until the answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from understudy.ports.database import Database, Presence
from understudy.ports.instance import InstancePlace, Instances
from understudy.vocabulary.errors import Refusal, UnderstudyError

AT_THE_ADDRESS, AT_THE_URL = "at_the_address", "at_the_url"

_STARTED = "SELECT to_char(pg_postmaster_start_time() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
"""To the microsecond, which no two servers of one cluster share."""


@dataclass(frozen=True, slots=True)
class AddressAnswer:
    """What one address said."""

    where: str
    """``AT_THE_ADDRESS``, where the database serves from; or ``AT_THE_URL``, where an earlier recovery left that behind."""
    address: str
    presence: Presence
    stranger: str = ""
    """The cluster that answered, where it is another one than the one to be recovered."""
    fault: str = ""
    """Why it could not be asked which cluster it is."""


def ask_old_servers(serving: Database, declared: Database, system_identifier: str) -> tuple[AddressAnswer, ...]:
    """Each address once. An unreachable one costs its connection time-outs."""
    answers = [_ask(AT_THE_ADDRESS, serving, system_identifier)]
    if declared.address != serving.address:
        answers.append(_ask(AT_THE_URL, declared, system_identifier))
    return tuple(answers)


def _ask(where: str, database: Database, system_identifier: str) -> AddressAnswer:
    presence = database.presence()
    if presence is not Presence.LISTENING:
        return AddressAnswer(where, database.address, presence)
    try:
        answering = database.facts().system_identifier
    except UnderstudyError as error:
        if error.code == "system_identifier_changed":
            return AddressAnswer(where, database.address, presence, stranger=error.found)
        return AddressAnswer(where, database.address, presence, fault=error.found)
    stranger = "" if answering == system_identifier else f"cluster {answering}"
    return AddressAnswer(where, database.address, presence, stranger)


def may_be_the_one(database: Database, instances: Instances, place: InstancePlace) -> bool:
    """Whether the server that ``database`` leads to may be the one that runs at ``place``; where nobody can tell, it may."""
    try:
        return database.query(_STARTED) == instances.query(place, _STARTED)
    except UnderstudyError:
        return True


def in_the_way(answers: Sequence[AddressAnswer]) -> tuple[AddressAnswer, ...]:
    """Those that are not known to be gone: their host did not say that nothing listens."""
    return tuple(answer for answer in answers if answer.presence is not Presence.NOBODY)


def require_gone(answers: Sequence[AddressAnswer], system_identifier: str, override_by: str | None) -> None:
    """
    Raises:
        Refusal: ``address_taken``: another cluster answers, which is never overridden: its own clients would meet ours.
            ``old_server_not_fenced``: something is there, or nobody can tell, and no person overrides that.
    """
    for answer in in_the_way(answers):
        if answer.stranger:
            raise Refusal(
                "address_taken",
                found=f"another cluster answers at {answer.address}: {answer.stranger}",
                expected=f"nothing there, or cluster {system_identifier}",
                hint="check the resource's url in the stack file: recovering beside a foreign server would end in confusion",
            )
        if override_by is None:
            raise Refusal(
                "old_server_not_fenced",
                found=found_at(answer),
                expected="that it is stopped, and stays so: that its host says that nothing listens there",
                hint="stop it on its host (and keep its supervisor from starting it again), then start the recovery again; "
                "or, knowing that its further writes are lost, run the recovery with --override-fence NAME",
            )


def found_at(answer: AddressAnswer) -> str:
    """In words, of an answer that is in the way."""
    if answer.presence is not Presence.LISTENING:
        return f"nobody can tell whether the old server still serves others at {answer.address}: there is no answer"
    if answer.fault:
        return f"something still listens at {answer.address}, and could not be asked who it is ({answer.fault})"
    return f"the old server still answers at {answer.address}"
