"""The recovery kit: one file for the safe, with which a bare machine can get everything back. How it is written, and read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from understudy.adapters.age.identity import identity_lines, recipient_of
from understudy.stack.expectation import Unfit
from understudy.stack.values import parse_name, parse_repository_url, parse_signer
from understudy.vocabulary.errors import GiveUp, Refusal
from understudy.vocabulary.recovery_target import time_with_offset
from understudy.vocabulary.secret import Secret

Read = TypeVar("Read")

_LARGEST_BYTES = 64 * 1024
_FIRST_LINE = re.compile(r'# Understudy recovery kit for the stack "([^"]*)", written (\S+)')
_FACT = re.compile(r"#\s+(recipient|signer|repository|resource|credential)\b(.*)")
_KEY_BEGINS = "AGE-SECRET-KEY-1"


@dataclass(frozen=True, slots=True)
class Credential:
    """Something that the kit does not hold and a recovery may need."""

    reference: str
    """As the stack file names it: ``env:ORDERS_URL``."""
    meaning: str


@dataclass(frozen=True, slots=True)
class KitContents:
    stack: str
    written: datetime
    identity: Secret
    """An age identity of the kit's own: everything is sealed to it and to the host's."""
    recipient: str
    signers: Sequence[str]
    """Ed25519 public keys, base64."""
    repositories: Sequence[tuple[str, str]]
    """Name and address."""
    resources: Sequence[tuple[str, str]]
    """Name, and what it is."""
    credentials: Sequence[Credential]


def recovery_kit(kit: KitContents) -> Secret:
    """The file's text. It is an age identity file as it stands: everything else in it is a comment there."""
    return Secret("\n".join([*_about(kit), kit.identity.reveal(), *_facts(kit), *_instructions(kit), ""]))


def _about(kit: KitContents) -> list[str]:
    return [
        f'# Understudy recovery kit for the stack "{kit.stack}", written {kit.written.isoformat(timespec="seconds")}',
        "#",
        "# Keep this file in a safe, away from the host that it was written on, and delete it there.",
        "# With it and a copy of a repository, all that is stored there can be read. If it and the host are lost, nothing can.",
        "#",
        "# The next line is the key. This whole file serves as it is wherever an age identity is asked for: age -d -i THIS_FILE",
    ]


def _facts(kit: KitContents) -> list[str]:
    return [
        "#",
        "# What is stored is sealed to (others may read it, too):",
        f"#   recipient: {kit.recipient}",
        "# Believe only what these keys have signed:",
        *(f"#   signer: {signer}" for signer in kit.signers),
        "# It is stored in:",
        *(f"#   repository {name}: {url}" for name, url in kit.repositories),
        "# What is protected:",
        *(f"#   resource {name}: {what}" for name, what in kit.resources),
        "# What this file does not hold, and who recovers may need besides:",
        *(f"#   credential {each.reference}: {each.meaning}" for each in kit.credentials),
    ]


def read_kit(file: Path) -> KitContents:
    """As it was written; ``signer:`` lines that a person added count, too. No line of it is repeated in a message, for it may be
    the key.

    Raises:
        Refusal: ``kit_unreadable``, ``kit_malformed``.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(_LARGEST_BYTES + 1)
        if len(content) > _LARGEST_BYTES:
            raise _malformed(file, f"more than {_LARGEST_BYTES} bytes")
        return parse_kit(content.decode(), file)
    except UnicodeDecodeError:
        raise _malformed(file, "bytes that are no text") from None
    except OSError as error:
        raise Refusal(
            "kit_unreadable",
            found=f"{file}: {error.strerror}",
            expected="the recovery kit, a file that the current user may read",
            hint=f"is the medium from the safe mounted? Look at it with: ls -ld {file}",
        ) from None


def parse_kit(text: str, file: Path) -> KitContents:
    """As ``read_kit``; ``file`` is only for messages."""
    lines = text.splitlines()
    head = _FIRST_LINE.fullmatch(lines[0].strip()) if lines else None
    if head is None:
        raise _malformed(file, "a first line that is not that of a kit")
    facts: dict[str, list[str]] = {}
    for line in lines:
        if fact := _FACT.fullmatch(line.strip()):
            facts.setdefault(fact.group(1), []).append(fact.group(2))
    identity = _identity_in(lines, file)
    recipients = [_value(text) for text in facts.get("recipient", [])]
    if recipients != [recipient_of(identity)]:
        raise _malformed(file, "a key that is not that of the recipient it names" if recipients else "no line with its recipient")
    return KitContents(
        stack=_fit(file, "the stack in its first line", parse_name, head.group(1)),
        written=_fit(file, "the time in its first line", time_with_offset, head.group(2)),
        identity=identity,
        recipient=recipients[0],
        signers=tuple(_fit(file, "a signer", parse_signer, _value(text)) for text in _some(file, facts, "signer")),
        repositories=tuple(
            (name, _fit(file, f"repository {name}", parse_repository_url, url)) for name, url in _named(file, facts, "repository")
        ),
        resources=_named(file, facts, "resource"),
        credentials=tuple(Credential(*text.strip().rpartition(": ")[::2]) for text in facts.get("credential", [])),
    )


def _identity_in(lines: Sequence[str], file: Path) -> Secret:
    keys = identity_lines(Secret("\n".join(lines)))
    if len(keys) != 1 or not keys[0].startswith(_KEY_BEGINS):
        what = "no key" if not keys else "several lines that are no comments" if len(keys) > 1 else "something else than the key"
        raise _malformed(file, f"{what} where the line with {_KEY_BEGINS}… belongs")
    identity = Secret(keys[0])
    try:
        recipient_of(identity)
    except GiveUp:
        raise _malformed(file, "a key that was cut off or mistyped: its checksum does not match") from None
    return identity


def _value(fact: str) -> str:
    return fact.strip().removeprefix(":").strip()


def _named(file: Path, facts: dict[str, list[str]], what: str) -> tuple[tuple[str, str], ...]:
    pairs = [(name, value.strip()) for name, _, value in (fact.strip().partition(": ") for fact in _some(file, facts, what))]
    if not all(value for _, value in pairs):
        raise _malformed(file, f"a {what} without what belongs to it: it seems to be cut off")
    return tuple((_fit(file, f"the name of a {what}", parse_name, name), value) for name, value in pairs)


def _some(file: Path, facts: dict[str, list[str]], what: str) -> list[str]:
    found = facts.get(what, [])
    if not found:
        raise _malformed(file, f"no line with a {what}: it seems to be cut off")
    return found


def _fit(file: Path, what: str, parse: Callable[[str], Read], text: str) -> Read:
    try:
        return parse(text)
    except (Unfit, ValueError):
        raise _malformed(file, f"{what} that is none") from None


def _malformed(file: Path, found: str) -> Refusal:
    return Refusal(
        "kit_malformed",
        found=f"{file}: {found}",
        expected='the recovery kit as understudy init wrote it: "# Understudy recovery kit for the stack …", the key, and then '
        "what the key belongs to",
        hint="copy it from the safe again, whole, with its comments. With the key alone, RECOVERY.md at the repository's top "
        "leads to the data without Understudy",
    )


def _instructions(kit: KitContents) -> list[str]:
    resource = kit.resources[0][0] if kit.resources else "RESOURCE"
    return [
        "#",
        "# To get everything back, on a machine that has Understudy, and PostgreSQL of the same major version:",
        "#      understudy adopt REPOSITORY --kit THIS_FILE",
        "# REPOSITORY is an address from above, or the directory that one was copied to or is mounted at. adopt opens the",
        "# stack file that is kept there, believes it only if a signer from above has signed it, writes it with new keys, and",
        "# says what is there, what is missing, and what to type next. It prints a line with a new signer: add it to this file.",
        "#",
        "# To get the databases back without Understudy: copy or mount a repository and follow RECOVERY.md at its top.",
        "# It asks for IDENTITY: that is this file.",
        "#",
        "# What adopt does, by hand:",
        "# 1. Copy or mount a repository. Open the newest file in its folder stack/ (their names begin with the time):",
        "#      age -d -i THIS_FILE stack/NEWEST.yaml.zst.age | zstd -d > understudy.yaml",
        "# 2. Compare the signers in understudy.yaml with those above. They must be the same, or you know why they are not.",
        "# 3. Change three lines in it: encryption.identity becomes file: and this file's absolute path; encryption.signing_key",
        "#    goes away (a new key is made); the repository's url says where it is now. Before backups and recoveries are",
        "#    signed with the new key, add the line to encryption.signers that understudy check prints then.",
        "# 4. Provide the credentials above, as far as they are still good. A database that is gone needs none.",
        "#    If understudy serve may still run elsewhere, end it, or work on a copy: it removes old backups and WAL, and",
        "#    does not know of this restore.",
        f"# 5. See what is there, then restore it: understudy backups, understudy restore {resource} --to /an/empty/directory",
    ]
