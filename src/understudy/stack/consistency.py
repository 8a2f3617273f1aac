"""What no single value can tell: whether the parts of a stack file agree with one another. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from understudy.stack.units import format_duration
from understudy.stack.values import AGE_RECIPIENT_TEXT, FINGERPRINT_TEXT
from understudy.vocabulary.sealing import Sealing

if TYPE_CHECKING:
    from understudy.stack.models import EncryptionSettings, Objective, RepositorySettings, Stack
    from understudy.stack.resources import PostgresResource, Resource
    from understudy.stack.services import Service
    from understudy.stack.snapshots import BucketResource
    from understudy.stack.streams import RedisResource

Path = tuple[str | int, ...]
"""From the top of the file: names of keys, and positions in lists."""


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Two places that can't both be right. Reported at the first, true only while all of them stand."""

    at: Path
    value: str
    expected: str
    because_of: tuple[Path, ...] = ()


class Contradictions(ValueError):
    """All contradictions of a stack at once."""

    def __init__(self, found: tuple[Contradiction, ...]) -> None:
        self.found = found
        super().__init__("; ".join(f"{'.'.join(map(str, each.at))} is {each.value}, expected {each.expected}" for each in found))


def contradictions(stack: Stack) -> Iterator[Contradiction]:
    for name, tier in stack.tiers.items():
        yield from _of_objective(("tiers", name), tier)
    for name in type(stack.objectives).model_fields:
        yield from _of_objective(("objectives", name), getattr(stack.objectives, name))
    for name, repository in stack.repositories.items():
        yield from _of_repository(("repositories", name), repository)
    yield from _shared_urls(stack.repositories)
    yield from _of_sealing(stack.encryption)
    for name, resource in stack.resources.items():
        yield from _unknown_names(("resources", name), resource, stack)
        yield from _of_dependencies(("resources", name), resource, stack)
        if resource.kind == "postgres":
            yield from _of_database(("resources", name), resource)
            yield from _of_landing(("resources", name), resource)
            yield from _of_shipping(("resources", name), resource, stack)
        elif resource.kind == "bucket":
            yield from _of_bucket(("resources", name), resource, stack)
        elif resource.kind == "redis":
            yield from _of_redis(("resources", name), resource)
    for name, service in stack.services.items():
        yield from _of_service(("services", name), name, service, stack)
    for name in stack.security_incident.rotate:
        at = ("security_incident", "rotate", name)
        for part in ("resources", "services"):
            if name in getattr(stack, part):
                yield Contradiction(at, name, "a name that no resource and no service has", ((part, name),))
    yield from _of_drills(stack)
    yield from _circles(stack)
    yield from _shared_targets(stack)
    yield from _read_directories(stack)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`` (did you mean …?)``, or nothing when nothing is near."""
    from difflib import get_close_matches  # only a file with mistakes needs it

    near = get_close_matches(word[:100], list(known), n=1, cutoff=0.6)
    return f" (did you mean {near[0]}?)" if near else ""


def _of_objective(at: Path, objective: Objective) -> Iterator[Contradiction]:
    if objective.target is not None and objective.target > objective.rto:
        expected = f"no longer than rto, {format_duration(objective.rto)}: it is what is aimed at within it"
        yield Contradiction((*at, "target"), format_duration(objective.target), expected, ((*at, "rto"),))


def _of_repository(at: Path, repository: RepositorySettings) -> Iterator[Contradiction]:
    url: Path = (*at, "url")
    if repository.url.startswith("file:"):
        for key in ("endpoint", "region", "access_key", "secret_key"):
            if getattr(repository, key) is not None:
                yield Contradiction((*at, key), key, "this key only beside an s3:// url", (url,))
        if repository.lock is not None:
            expected = "this key only beside an s3:// url: a directory cannot lock what is in it"
            yield Contradiction((*at, "lock"), "lock", expected, (url,))
        return
    yield from _half_of_the_keys(at, repository)


def _of_sealing(encryption: EncryptionSettings) -> Iterator[Contradiction]:
    """Keys are of the kind that the sealing takes."""
    sealing: Path = ("encryption", "sealing")
    of_age = encryption.sealing is Sealing.AGE
    for index, recipient in enumerate(encryption.recipients):
        if recipient.startswith("age1") is not of_age:
            expected = f"{AGE_RECIPIENT_TEXT if of_age else FINGERPRINT_TEXT}, because sealing is {encryption.sealing}"
            yield Contradiction(("encryption", "recipients", index), recipient, expected, (sealing,))
    if encryption.public_keys and of_age:
        expected = "this key only beside sealing: gpg; the public keys of age are the recipients themselves"
        yield Contradiction(("encryption", "public_keys"), "public_keys", expected, (sealing,))
    if not encryption.public_keys and not of_age:
        expected = "public_keys beside it: the armored public key of each recipient, or file:/path of one"
        yield Contradiction(sealing, encryption.sealing, expected, (("encryption", "public_keys"),))


def _half_of_the_keys(at: Path, place: RepositorySettings | BucketResource) -> Iterator[Contradiction]:
    for key, other in (("access_key", "secret_key"), ("secret_key", "access_key")):
        if getattr(place, key) is not None and getattr(place, other) is None:
            yield Contradiction((*at, key), key, f"{other} beside it: they go together", ((*at, other),))


def _of_bucket(at: Path, bucket: BucketResource, stack: Stack) -> Iterator[Contradiction]:
    """What is stored must not become a part of what is to be stored, nor the other way round."""
    yield from _half_of_the_keys(at, bucket)
    sandbox: Path = (*at, "drill", "url")
    if bucket.drill.url is not None and _one_in_the_other(bucket.drill.url, bucket.url):
        expected = f"a place apart from {_spell((*at, 'url'))} ({bucket.url}), which drills must not touch"
        yield Contradiction(sandbox, bucket.drill.url, expected, ((*at, "url"),))
    for name, repository in stack.repositories.items():
        if str(repository.endpoint) != str(bucket.endpoint):
            continue
        theirs: Path = ("repositories", name, "url")
        reasons = (theirs, (*at, "endpoint"), ("repositories", name, "endpoint"))
        for place, url in (((*at, "url"), bucket.url), (sandbox, bucket.drill.url)):
            if url is not None and _one_in_the_other(repository.url, url):
                yield Contradiction(place, url, f"a place apart from {_spell(theirs)} ({repository.url})", reasons)


def _of_redis(at: Path, redis: RedisResource) -> Iterator[Contradiction]:
    for key, other in (("certificate", "key"), ("key", "certificate")):
        if getattr(redis, key) is not None and getattr(redis, other) is None:
            yield Contradiction((*at, key), key, f"{other} beside it: they go together", ((*at, other),))


def _shared_urls(repositories: Mapping[str, RepositorySettings]) -> Iterator[Contradiction]:
    first: dict[tuple[str, str], str] = {}
    for name, repository in repositories.items():
        place = (repository.url, str(repository.endpoint))
        if place in first:
            other = ("repositories", first[place], "url")
            yield Contradiction(("repositories", name, "url"), repository.url, f"another place than {first[place]}'s", (other,))
        first.setdefault(place, name)


def _unknown_names(at: Path, resource: Resource, stack: Stack) -> Iterator[Contradiction]:
    yield from _unknown_tier(at, resource.tier, stack)
    for index, name in enumerate(resource.repositories or ()):
        if name not in stack.repositories:
            yield _unknown((*at, "repositories", index), name, "repositories", stack.repositories)
        elif name in (resource.repositories or ())[:index]:
            yield Contradiction((*at, "repositories", index), name, "each repository once")


def _unknown_tier(at: Path, tier: str, stack: Stack) -> Iterator[Contradiction]:
    if tier not in stack.tiers:
        yield _unknown((*at, "tier"), tier, "tiers", stack.tiers)


def _of_dependencies(at: Path, resource: Resource, stack: Stack) -> Iterator[Contradiction]:
    for index, name in enumerate(resource.depends_on):
        if name not in stack.resources:
            yield _unknown((*at, "depends_on", index), name, "resources", stack.resources)
        elif name in resource.depends_on[:index]:
            yield Contradiction((*at, "depends_on", index), name, "each resource once")


def _of_service(at: Path, own: str, service: Service, stack: Stack) -> Iterator[Contradiction]:
    yield from _unknown_tier(at, service.tier, stack)
    if own in stack.resources:
        yield Contradiction(at, own, "a name that no resource has", (("resources", own),))
    yield from _of_drill(at, service, stack)
    known = (*stack.resources, *stack.services)
    for index, name in enumerate(service.depends_on):
        here: Path = (*at, "depends_on", index)
        if name not in known:
            expected = f"one of the resources and services {', '.join(sorted(known))}{did_you_mean(name, sorted(known))}"
            yield Contradiction(here, name, expected, (("resources", name), ("services", name)))
        elif name in service.depends_on[:index]:
            yield Contradiction(here, name, "each name once")


def _of_drills(stack: Stack) -> Iterator[Contradiction]:
    for drill, declared in stack.drills.items():
        at: Path = ("drills", drill)
        for index, name in enumerate(declared.resources):
            if name not in stack.resources and name not in stack.services:
                yield _unknown((*at, "resources", index), name, "resources", {**stack.resources, **stack.services})
            elif name in declared.resources[:index]:
                yield Contradiction((*at, "resources", index), name, "each resource once")
        if declared.repository is not None and declared.repository not in stack.repositories:
            yield _unknown((*at, "repository"), declared.repository, "repositories", stack.repositories)


def _of_drill(at: Path, service: Service, stack: Stack) -> Iterator[Contradiction]:
    """What would reach for the real thing."""
    if service.drill is None:
        return
    for key in ("start", "stop"):
        real, drilled = getattr(service, key), getattr(service.drill, key)
        here: Path = (*at, "drill", key, "run")
        if real is not None and drilled is not None and drilled.run == real.run:
            expected = f"another command than {_spell((*at, key, 'run'))}, which would touch what serves"
            yield Contradiction(here, " ".join(drilled.run), expected, ((*at, key, "run"),))
    for key in ("start", "check", "stop"):
        command = getattr(service.drill, key)
        if command is None or command.directory is None:
            continue
        for theirs, directory in (*_directories(stack), *_source_directories(stack)):
            if _one_in_the_other(command.directory, directory):
                expected = f"a directory apart from {_spell(theirs)} ({directory}), which drills must not touch"
                yield Contradiction((*at, "drill", key, "directory"), command.directory, expected, (theirs,))
                break


def _source_directories(stack: Stack) -> Iterator[tuple[Path, str]]:
    for name, resource in stack.resources.items():
        if resource.kind == "files":
            yield ("resources", name, "path"), resource.path


def _circles(stack: Stack) -> Iterator[Contradiction]:
    """Each circle of dependencies once, told at the first of its parts in the file, all the way round."""
    told: set[frozenset[str]] = set()
    needed = {name: ("resources", each.depends_on) for name, each in stack.resources.items()}
    needed = {**{name: ("services", each.depends_on) for name, each in stack.services.items()}, **needed}
    for start in (*stack.resources, *stack.services):
        circle = _way_back(start, {name: each[1] for name, each in needed.items()})
        if circle and frozenset(circle) not in told:
            told.add(frozenset(circle))
            section, depends_on = needed[start]
            round_about = " depends on ".join(circle)
            reasons: tuple[Path, ...] = tuple((needed[name][0], name, "depends_on") for name in circle[1:-1])
            expected = f"no circle: {round_about}, so that none could be the first to come back"
            at: Path = (section, start, "depends_on", depends_on.index(circle[1]))
            yield Contradiction(at, circle[1], expected, reasons)


def _way_back(start: str, needed: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The shortest way from a part over its dependencies back to itself, both ends included; empty where there is none."""
    ways: list[tuple[str, ...]] = [(start,)]
    seen: set[str] = set()
    for way in ways:
        for name in needed.get(way[-1], ()):
            if name == start:
                return (*way, start)
            if name not in seen:
                seen.add(name)
                ways.append((*way, name))
    return ()


def _unknown(at: Path, name: str, section: str, known: Iterable[str]) -> Contradiction:
    names = sorted(known)
    return Contradiction(at, name, f"one of the {section} {', '.join(names)}{did_you_mean(name, names)}", ((section, name),))


def _of_database(at: Path, resource: PostgresResource) -> Iterator[Contradiction]:
    backup = resource.backup
    if backup.incremental and not backup.full:
        here, full = (*at, "backup", "incremental"), (*at, "backup", "full")
        yield Contradiction(here, backup.incremental, "full beside it: incrementals stand on a full backup", (full,))
    for index, check in enumerate(resource.checks):
        here = (*at, "checks", index)
        bounds = tuple((*here, key) for key in ("at_least", "at_most", "equals"))
        if check.at_least is None and check.at_most is None and check.equals is None:
            yield Contradiction(here, "a check without a bound", "one of at_least, at_most or equals", bounds)
        elif check.equals is not None and (check.at_least is not None or check.at_most is not None):
            yield Contradiction((*here, "equals"), check.equals, "equals alone, or at_least and at_most", bounds)
        elif check.at_least is not None and check.at_most is not None and check.at_least > check.at_most:
            yield Contradiction((*here, "at_most"), str(check.at_most), f"at least {check.at_least}, which is at_least", bounds)


def _of_landing(at: Path, resource: PostgresResource) -> Iterator[Contradiction]:
    """What must be there when the directory is set aside, or is yet to be made."""
    if resource.recover is None:
        if resource.warm_copy is not None:
            yield Contradiction((*at, "warm_copy"), "warm_copy", "recover beside it: a recovery puts the copy into its directory")
        return
    directory = resource.recover.directory
    for key in ("socket_directory", "log", "configuration"):
        path = getattr(resource.recover, key)
        if path is not None and (path == directory or path.startswith(f"{directory}/")):
            expected = f"a place outside recover.directory ({directory}), which a recovery sets aside"
            yield Contradiction((*at, "recover", key), path, expected, ((*at, "recover", "directory"),))


def _of_shipping(at: Path, resource: PostgresResource, stack: Stack) -> Iterator[Contradiction]:
    """An objective that the declared shipping can't meet even when everything works."""
    tier = stack.tiers.get(resource.tier)
    wal = resource.wal
    if tier is None or wal.synchronous or wal.ship_every <= tier.rpo:
        return
    expected = f"at most {format_duration(tier.rpo)}, the rpo of tier {resource.tier}"
    if tier.rpo < timedelta(seconds=1):
        expected = f"synchronous: true beside it, because the rpo of tier {resource.tier} is {format_duration(tier.rpo)}"
    reasons: tuple[Path, ...] = ((*at, "tier"), (*at, "wal", "synchronous"), ("tiers", resource.tier))
    yield Contradiction((*at, "wal", "ship_every"), format_duration(wal.ship_every), expected, reasons)


def _shared_targets(stack: Stack) -> Iterator[Contradiction]:
    """Two things that would use one directory, port or slot."""
    directories: dict[str, Path] = {}
    ports: dict[int, Path] = {}
    for at, directory in _directories(stack):
        for other, theirs in directories.items():
            if _one_in_the_other(directory, other):
                yield Contradiction(at, directory, f"a directory apart from {_spell(theirs)} ({other})", (theirs,))
                break
        directories.setdefault(directory, at)
    for name, resource in stack.resources.items():
        if resource.kind != "postgres" or resource.recover is None:
            continue
        at = ("resources", name, "recover", "port")
        port = resource.recover.port
        if port in ports:
            yield Contradiction(at, str(port), f"another port than {_spell(ports[port])}", (ports[port],))
        ports.setdefault(port, at)


def _read_directories(stack: Stack) -> Iterator[Contradiction]:
    """Those of kind files may lie in one another, but not where something is written: a repository would hold itself."""
    written = tuple(_directories(stack))
    for name, resource in stack.resources.items():
        if resource.kind != "files":
            continue
        at: Path = ("resources", name, "path")
        drills: Path = ("resources", name, "drill", "directory")
        if resource.drill.directory is not None and _one_in_the_other(resource.drill.directory, resource.path):
            expected = f"a directory apart from {_spell(at)} ({resource.path}), which drills must not touch"
            yield Contradiction(drills, resource.drill.directory, expected, (at,))
        for theirs, directory in written:
            if _one_in_the_other(resource.path, directory):
                yield Contradiction(at, resource.path, f"a directory apart from {_spell(theirs)} ({directory})", (theirs,))
                break


def _one_in_the_other(one: str, other: str) -> bool:
    return one == other or one.startswith(f"{other}/") or other.startswith(f"{one}/")


def _directories(stack: Stack) -> Iterator[tuple[Path, str]]:
    """Every directory that one thing must have to itself."""
    for name, repository in stack.repositories.items():
        if repository.url.startswith("file://"):
            yield ("repositories", name, "url"), repository.url.removeprefix("file://")
    for name, resource in stack.resources.items():
        at: Path = ("resources", name)
        if resource.kind == "redis" and resource.recover is not None:
            yield (*at, "recover", "directory"), resource.recover.directory
        if resource.kind != "postgres":
            continue
        if resource.wal.spool:
            yield (*at, "wal", "spool"), resource.wal.spool
        if resource.recover:
            yield (*at, "recover", "directory"), resource.recover.directory
            for tablespace, directory in resource.recover.tablespaces.items():
                yield (*at, "recover", "tablespaces", tablespace), directory
        if resource.warm_copy is not None and resource.warm_copy.directory is not None:
            yield (*at, "warm_copy", "directory"), resource.warm_copy.directory


def _spell(path: Path) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}"
    return text.removeprefix(".")
