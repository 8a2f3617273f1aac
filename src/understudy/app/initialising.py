"""``init``: look at a database, make keys, write a first stack file and the recovery kit. Nothing is overwritten."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from understudy.adapters.age import new_identity
from understudy.adapters.postgres.database import PostgresDatabase
from understudy.adapters.postgres.programs import find_programs
from understudy.app.key_ring import write_secret
from understudy.app.recovery_kit import Credential, KitContents, recovery_kit
from understudy.app.state_directory import customary_state_parent
from understudy.judge.preflight_landing import kept_outside
from understudy.ports.clock import Clock
from understudy.ports.database import Database
from understudy.repository.layout import DESCRIPTION_KEY
from understudy.repository.signing import Signer, new_signing_key
from understudy.stack.expectation import Unfit
from understudy.stack.loader import parse_stack
from understudy.stack.secrets import PlainText, SecretPlace, SecretReference, parse_reference, resolve_text
from understudy.stack.template import FirstStack, first_stack_file
from understudy.stack.values import parse_connection, parse_endpoint, parse_name, parse_repository_url
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.majors import FIRST_MAJOR
from understudy.vocabulary.secret import Secret

Parsed = TypeVar("Parsed")

DEFAULT_STACK = "main"
DEFAULT_RESOURCE = "database"
CLAIM = "stack-file"
"""In the state directory: which stack file it belongs to."""
_MAY_BE_SECRET = ("--url", "--endpoint", "--access-key", "--secret-key")
_URL_SUFFIXES = re.compile(r"(_DATABASE|_POSTGRES|_POSTGRESQL|_DB|_PG)?_(URL|URI|DSN|CONNINFO)$", re.IGNORECASE)
_ORDINARY_DATABASES = frozenset({"postgres", "template1"})
_PUBLIC_MODE = 0o644
_QUESTIONS = """
select current_setting('server_version_num'),
       current_setting('server_version'),
       current_setting('port'),
       current_database(),
       (select setting from pg_settings where name = 'data_directory'),
       (select setting from pg_settings where name = 'config_file'),
       (select setting from pg_settings where name = 'summarize_wal'),
       (select system_identifier::text from pg_control_system()),
       (select coalesce(sum(pg_database_size(oid)), 0) from pg_database
         where has_database_privilege(oid, 'CONNECT') or pg_has_role('pg_read_all_stats', 'USAGE')),
       (select coalesce(json_agg(spcname order by oid), '[]') from pg_tablespace
         where spcname not in ('pg_default', 'pg_global')),
       quote_ident(current_user),
       (select rolreplication or rolsuper from pg_roles where rolname = current_user)
"""


@dataclass(frozen=True, slots=True)
class FirstWish:
    """What a person said. References are as they will stand in the stack file."""

    url: str
    output: Path
    resource: str | None = None
    stack: str | None = None
    repository: str | None = None
    endpoint: str | None = None
    access_key_reference: str | None = None
    secret_key_reference: str | None = None
    keys: Path | None = None
    """Directory of the key files. Default: that of the stack file."""
    kit: Path | None = None
    state: Path | None = None


@dataclass(frozen=True, slots=True)
class FoundDatabase:
    address: str
    version_number: int
    version: str
    port: int
    database: str
    data_directory: str | None
    """None where the role may not see it."""
    configuration_file: str | None
    """None likewise."""
    summarizes_wal: bool
    system_identifier: str
    size_bytes: int
    tablespaces: tuple[str, ...]
    role: str
    """As SQL takes it."""
    replicates: bool
    """Whether the role may stream WAL and take backups."""

    @property
    def major(self) -> int:
        return self.version_number // 10000


@dataclass(frozen=True, slots=True)
class Initialised:
    """What was found, and the files that were made."""

    found: FoundDatabase
    stack: str
    resource: str
    stack_file: Path
    identity: Path
    signing_key: Path
    kit: Path
    credentials: tuple[Credential, ...]


def initialise(wish: FirstWish, clock: Clock) -> Initialised:
    """
    Raises:
        Refusal: ``option_malformed``, ``already_there`` (and what), ``stack_in_use``, ``version_too_old``.
        GiveUp: ``secret_missing``, ``place_denied``; what the database raises.
    """
    url = _fit("--url", parse_connection, wish.url)
    stack = _fit("--stack", parse_name, wish.stack or DEFAULT_STACK)
    output = wish.output.absolute()
    keys = (wish.keys or output.parent).absolute()
    identity, signing_key = keys / f"{stack}.identity", keys / f"{stack}.signing-key"
    kit = (wish.kit or output.parent / f"{stack}-recovery-kit.txt").absolute()
    state = (wish.state or customary_state_parent() / stack).absolute()
    repository = _fit("--repository", parse_repository_url, wish.repository or f"file://{state}-repository")
    _refuse_existing([output, identity, signing_key, kit])
    _refuse_in_use(state, repository, output)
    found = _look(PostgresDatabase(resolve_text(url), clock))
    resource = _fit("--resource", parse_name, wish.resource or _resource_name(url, found))

    host_identity, host_recipient = new_identity()
    kit_identity, kit_recipient = new_identity()
    private_key = new_signing_key()
    signer = Signer(private_key).public_key
    first = FirstStack(
        stack=stack,
        resource=resource,
        url=url,
        major_version=found.major,
        repository_url=repository,
        repository_keys=_repository_keys(wish),
        recipients=(host_recipient, kit_recipient),
        identity=_reference_to(identity),
        signing_key=_reference_to(signing_key),
        signers=(signer,),
        state_directory=str(state),
        recover_directory=(recovered := _recover_directory(found, stack, resource)),
        recover_port=found.port,
        programs=_programs(found.major),
        tablespaces=tuple((name, f"{recovered}-tablespaces/{index}") for index, name in enumerate(found.tablespaces, start=1)),
        summarizes_wal=found.summarizes_wal,
        configured_in=kept_outside({"data_directory": found.data_directory, "config_file": found.configuration_file}),
    )
    text = first_stack_file(first)
    parse_stack(text.encode(), str(output))  # a name that contradicts another is told before anything is made
    credentials = _credentials(first)
    contents = KitContents(
        stack=stack,
        written=clock.now(),
        identity=kit_identity,
        recipient=kit_recipient,
        signers=first.signers,
        repositories=(("near", first.repository_url),),
        resources=((resource, f"PostgreSQL {found.version}, system identifier {found.system_identifier}"),),
        credentials=credentials,
    )
    with _claimed(state, output), _all_or_nothing() as write:
        write(identity, host_identity)
        write(signing_key, private_key)
        write(kit, recovery_kit(contents))
        write(output, text)
    return Initialised(found, stack, resource, output, identity, signing_key, kit, credentials)


def _look(database: Database) -> FoundDatabase:
    """Over an ordinary connection, so that a server which is not ready for replication can be looked at, too."""
    (row,) = database.query(_QUESTIONS)
    number, version, port, name, data_directory, configuration_file, summarizes, system, size_bytes, tablespaces, *of_role = row
    if int(number or 0) // 10000 < FIRST_MAJOR:
        raise Refusal(
            "version_too_old",
            found=f"PostgreSQL {version} at {database.address}",
            expected=f"PostgreSQL {FIRST_MAJOR} or newer: older ones write no backup manifest",
            hint="upgrade the server; until then, protect it with logical dumps",
        )
    return FoundDatabase(
        address=database.address,
        version_number=int(number or 0),
        version=version or "",
        port=int(port or 5432),
        database=name or "",
        data_directory=data_directory or None,
        configuration_file=configuration_file or None,
        summarizes_wal=summarizes == "on",
        system_identifier=system or "",
        size_bytes=int(size_bytes or 0),
        tablespaces=tuple(json.loads(tablespaces or "[]")),
        role=of_role[0] or "",
        replicates=of_role[1] == "t",
    )


def _resource_name(url: SecretReference | PlainText, found: FoundDatabase) -> str:
    """From the variable's name (``ORDERS_URL``), else the database's, as far as they make a name."""
    candidates = [found.database] if found.database not in _ORDINARY_DATABASES else []
    if isinstance(url, SecretReference) and url.place is SecretPlace.ENVIRONMENT and _URL_SUFFIXES.search(url.name):
        candidates.insert(0, _URL_SUFFIXES.sub("", url.name))
    for candidate in candidates:
        with contextlib.suppress(Unfit):
            return parse_name(candidate.lower())
    return DEFAULT_RESOURCE


def _recover_directory(found: FoundDatabase, stack: str, resource: str) -> str:
    """Beside the present data directory where the server is on this host; else where PostgreSQL usually lives."""
    if found.data_directory is not None and _is_directory(Path(found.data_directory)):
        return f"{found.data_directory.rstrip('/')}-recovered"
    if os.geteuid() == 0 and _is_directory(Path("/var/lib/postgresql")):
        return f"/var/lib/postgresql/{resource}-recovered"
    return str(customary_state_parent() / f"{stack}-recovered" / resource)


def _is_directory(path: Path) -> bool:
    """False also where we may not look."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _programs(major: int) -> str:
    """Where they are, or where they will be once they are installed: ``check`` says what is missing."""
    try:
        return str(find_programs(major).directory)
    except GiveUp:
        return f"/usr/lib/postgresql/{major}/bin"


def _repository_keys(wish: FirstWish) -> tuple[tuple[str, str], ...]:
    given: list[tuple[str, str]] = []
    if wish.endpoint is not None:
        given.append(("endpoint", str(_fit("--endpoint", parse_endpoint, wish.endpoint))))
    for option, value in (("access_key", wish.access_key_reference), ("secret_key", wish.secret_key_reference)):
        if value is not None:
            given.append((option, str(_fit(f"--{option.replace('_', '-')}", parse_reference, value))))
    return tuple(given)


def _credentials(first: FirstStack) -> tuple[Credential, ...]:
    found = [Credential(str(first.url), f"connection string of {first.resource}, a role with REPLICATION")]
    found += [Credential(value, f"{key} of repository near") for key, value in first.repository_keys]
    if first.repository_url.startswith("s3:") and not first.repository_keys:
        found.append(Credential("the host's own role", "access to the bucket of repository near"))
    return tuple(found)


def _reference_to(path: Path) -> SecretReference:
    return _fit("--keys", parse_reference, f"file:{path}")


def _fit(option: str, parse: Callable[[str], Parsed], text: str) -> Parsed:
    try:
        return parse(text)
    except Unfit as unfit:
        shown = "a value that is not repeated, because it may be a secret" if option in _MAY_BE_SECRET else repr(text)
        raise Refusal(
            "option_malformed",
            found=f"{option} {shown}",
            expected=unfit.expected,
            hint="see: understudy init --help",
        ) from None


def _refuse_existing(paths: Sequence[Path]) -> None:
    """What may not be looked at is told when it can't be written."""
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there:
        raise Refusal(
            "already_there",
            found=f"{', '.join(there)} {'is' if len(there) == 1 else 'are'} there already",
            expected="names that are free: keys and stack files are never overwritten",
            hint="name others (--output, --keys, --kit, --stack), or move these away if nothing was ever sealed with them",
        )


def _refuse_in_use(state: Path, repository: str, output: Path) -> None:
    """Two stacks on one state directory would take each other's runs and keys for their own."""
    claim = state / CLAIM
    claimed = claim.read_text().strip() if os.access(claim, os.R_OK) else ""
    others = {"state.db", CLAIM} & _entries(state) - ({CLAIM} if claimed == str(output) else set())
    place = Path(repository.removeprefix("file://"))
    found = []
    if others:
        found.append(f"the state directory {state}{f' (by {claimed})' if claimed else ''}")
    if repository.startswith("file://") and {".incoming", DESCRIPTION_KEY} & _entries(place):
        found.append(f"the repository {place}")
    if found:
        raise Refusal(
            "stack_in_use",
            found=f"{' and '.join(found)} {'are' if len(found) > 1 else 'is'} in use by another stack",
            expected="places of its own for each stack, because its keys open nothing of another",
            hint="name this one: --stack NAME (or --state and --repository); to protect a second database with the stack that is "
            "there, add it to that stack file under resources",
        )


def _entries(directory: Path) -> set[str]:
    """Nothing where we may not look: whoever writes there is told."""
    try:
        return {each.name for each in directory.iterdir()}
    except OSError:
        return set()


@contextlib.contextmanager
def _claimed(state: Path, output: Path) -> Iterator[None]:
    """The state directory, with the stack file's name in it, so that the next ``init`` sees it before anything ran."""
    above = next(each for each in (state, *state.parents) if os.path.lexists(each))
    try:
        state.mkdir(parents=True, exist_ok=True, mode=0o711)
        (state / CLAIM).write_text(f"{output}\n")
    except OSError as error:
        raise _denied(error, "--state") from error
    try:
        yield
    except BaseException:
        (state / CLAIM).unlink()
        for made in (state, *state.parents):
            if made == above:
                break
            made.rmdir()
        raise


@contextlib.contextmanager
def _all_or_nothing() -> Iterator[Callable[[Path, Secret | str], None]]:
    """Writes new files, and takes them back when a later one fails."""
    made: list[Path] = []

    def write(path: Path, content: Secret | str) -> None:
        secret = content if isinstance(content, Secret) else Secret(content)
        write_secret(path, secret)
        made.append(path)
        if not isinstance(content, Secret):
            path.chmod(_PUBLIC_MODE)

    try:
        yield write
    except OSError as error:
        for path in made:
            path.unlink()
        raise _denied(error, "--output, --keys or --kit") from error


def _denied(error: OSError, options: str) -> GiveUp:
    return GiveUp(
        "place_denied",
        found=f"{error.filename}: {error.strerror}",
        expected="a directory that exists and may be written to",
        hint=f"make it, or name another one with {options}",
    )
