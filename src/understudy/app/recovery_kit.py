"""The recovery kit: one file for the safe, with which a bare machine can get everything back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from understudy.vocabulary.secret import Secret


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


def _instructions(kit: KitContents) -> list[str]:
    resource = kit.resources[0][0] if kit.resources else "RESOURCE"
    return [
        "#",
        "# To get the databases back without Understudy: copy or mount a repository and follow RECOVERY.md at its top.",
        "# It asks for IDENTITY: that is this file.",
        "#",
        "# To get them back with Understudy, on a machine that has PostgreSQL of the same major version:",
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
