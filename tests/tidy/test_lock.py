"""What is installed satisfies what is asked for: nothing is resolved when it is installed, so nobody else looks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from importlib import metadata
from itertools import chain

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.tidy.sources import ROOT

OURS = "understudy"


def locked() -> dict[str, Version]:
    text = (ROOT / "constraints.txt").read_text()
    return {canonicalize_name(name): Version(version) for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.M)}


def asked_for() -> list[str]:
    """To build, to run, and in every extra."""
    asked = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = asked["project"]
    return [
        *asked["build-system"]["requires"],
        *project["dependencies"],
        *chain.from_iterable(project["optional-dependencies"].values()),
    ]


def unsatisfied(asked: Iterable[str], lock: Mapping[str, Version]) -> list[str]:
    """What the lock lacks of that, or has in another version; also of what that stands on, as the installed packages say."""
    found: list[str] = []
    left = [Requirement(each) for each in asked]
    looked_at: set[tuple[str, str]] = set()
    while left:
        requirement = left.pop()
        name = canonicalize_name(requirement.name)
        if name == OURS:  # an extra that holds another one, which is asked for by itself
            continue
        if name not in lock:
            found.append(f"{requirement} is not in the lock")
            continue
        if not requirement.specifier.contains(lock[name], prereleases=True):
            found.append(f"{requirement} is {lock[name]} in the lock")
        for extra in {"", *requirement.extras} - {seen for each, seen in looked_at if each == name}:
            looked_at.add((name, extra))
            left += _needs(name, extra)
    return found


def _needs(name: str, extra: str) -> Iterator[Requirement]:
    """Of an installed package on this machine."""
    for each in map(Requirement, metadata.requires(name) or ()):
        if each.marker is None or each.marker.evaluate({"extra": extra}):
            yield each


def test_the_lock_satisfies_what_pyproject_asks_for():
    assert unsatisfied(asked_for(), locked()) == []


@pytest.mark.parametrize(
    ("asked", "without", "found"),
    [
        (["click>=99"], "", [r"click>=99 is [\d.]+ in the lock"]),
        (["surely-not-there"], "", ["surely-not-there is not in the lock"]),
        (["psycopg[binary]>=3"], "psycopg-binary", [r"psycopg-binary\S* is not in the lock"]),
    ],
)
def test_what_the_lock_lacks_is_found(asked, without, found):
    lock = {name: version for name, version in locked().items() if name != without}
    told = [re.sub(r";.*?( is )", r"\1", each) for each in unsatisfied(asked, lock)]
    assert len(told) == len(found)
    assert all(re.fullmatch(pattern, each) for pattern, each in zip(found, told, strict=True)), told
