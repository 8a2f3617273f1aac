"""The stack file as a whole. Every field has a description: together they are the manual."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from understudy.stack.consistency import Contradictions, contradictions
from understudy.stack.contacts import Contact
from understudy.stack.expectation import TextForm, Unfit
from understudy.stack.fields import (
    AbsolutePath,
    Cron,
    Duration,
    EndpointField,
    Every,
    Flag,
    Interval,
    Line,
    LockModeField,
    LockPeriod,
    Name,
    PublicKeyField,
    ReadBudget,
    Recipient,
    RegionName,
    RepositoryUrl,
    SealingField,
    SecretField,
    SignerKey,
    TimeOfDayWindow,
    Zone,
)
from understudy.stack.intrusion import IntrusionSettings
from understudy.stack.order import Names, Priority
from understudy.stack.resources import PostgresResource, Resource
from understudy.stack.services import Service
from understudy.stack.snapshots import JITTER
from understudy.stack.stack_part import StackPart
from understudy.vocabulary.locking import LockMode
from understudy.vocabulary.sealing import Sealing


class Scenario(StrEnum):
    """A disaster that can be drilled and recovered from."""

    DATABASE_CORRUPTION = "database_corruption"
    DATA_LOSS = "data_loss"
    STORAGE_LOSS = "storage_loss"
    COMPLETE_FAILURE = "complete_failure"
    SECURITY_INCIDENT = "security_incident"
    APPLICATION_FAILURE = "application_failure"


DRILLED_SCENARIOS = tuple(each for each in Scenario if each is not Scenario.SECURITY_INCIDENT)
"""Those that a calendar can hold: they need nothing that only a person can say."""

_SCENARIO_TEXT = f"a scenario that can be drilled: {', '.join(DRILLED_SCENARIOS)}"


def _scenario_of(text: str) -> Scenario:
    if text not in DRILLED_SCENARIOS:
        raise Unfit(_SCENARIO_TEXT)
    return Scenario(text)


ScenarioName = Annotated[Scenario, TextForm("scenario", _SCENARIO_TEXT, _scenario_of, str, Scenario)]


class Objective(StackPart):
    """How long a recovery may take, and how much of the newest work it may lose."""

    title = "Objectives and tiers"

    rto: Interval = Field(description="Recovery time objective: from the start of the recovery to the first successful write.")
    rpo: Duration = Field(description="Recovery point objective: the newest work that may be lost, as time.")
    target: Interval | None = Field(
        default=None,
        description="The recovery time that is aimed at, within rto. It is reported beside it; to miss it fails nothing.",
    )


class PhaseBudgets(StackPart):
    """How much of a recovery's time each part of it is given. They are reported beside the objective; to miss one fails
    nothing.
    """

    title = "Budgets of phases"

    provisioning: Interval = Field(
        default=timedelta(minutes=15), description="Stopping what is old, shipping the last WAL, making room."
    )
    restore: Interval = Field(default=timedelta(minutes=20), description="Restoring backups, replaying WAL, promoting.")
    deployment: Interval = Field(
        default=timedelta(minutes=15), description="Opening what came back to its clients, and starting services."
    )
    verification: Interval = Field(default=timedelta(minutes=10), description="Checking what came back.")


class PhasedObjective(Objective):
    """An objective whose time is shared out among the phases of the recovery."""

    title = "Objectives with budgets of phases"

    phases: PhaseBudgets = Field(default=PhaseBudgets(), description="What each phase is given of it.")


class ScenarioObjectives(StackPart):
    """Objectives of a scenario. They govern where they differ from the tier's; both are reported."""

    title = "Objectives by scenario"

    database_corruption: Objective = Field(
        default=Objective(rto=timedelta(hours=1), rpo=timedelta(minutes=15), target=timedelta(minutes=30)),
        description="The database is there but can't be used or trusted; host and repositories are.",
    )
    data_loss: Objective = Field(
        default=Objective(rto=timedelta(hours=4), rpo=timedelta(hours=24)),
        description="The data is gone; the repositories are what is left.",
    )
    storage_loss: Objective = Field(
        default=Objective(rto=timedelta(minutes=20), rpo=timedelta(hours=1)),
        description="A bucket or a directory is gone; the databases are there.",
    )
    complete_failure: PhasedObjective = Field(
        default=PhasedObjective(rto=timedelta(hours=1), rpo=timedelta(minutes=5)),
        description="Everything is gone at once; the repositories are what is left. The times are those of the whole.",
    )
    application_failure: Objective = Field(
        default=Objective(rto=timedelta(minutes=15), rpo=timedelta(0)),
        description="A service does not serve; what it depends on is there. The times are those of the whole.",
    )
    security_incident: Objective = Field(
        default=Objective(rto=timedelta(hours=4), rpo=timedelta(hours=24)),
        description="Somebody was in the system. It comes back as it was before a moment that a person names, so how much work "
        "is lost is decided, not measured. The times are those of the whole.",
    )


class LockSettings(StackPart):
    """For how long nobody may remove what is stored: object lock of S3. The bucket must have it."""

    title = "Locks"

    period: LockPeriod = Field(
        description="Everything is locked for at least so long from its last use: a part that a new snapshot shares, and all "
        "that an incremental backup stands on, are locked anew. Until then nobody removes it; understudy expire neither."
    )
    mode: LockModeField = Field(
        default=LockMode.GOVERNANCE,
        description="governance: who has the right s3:BypassGovernanceRetention may remove it all the same. compliance: nobody "
        "may, not even the account's owner, and it is paid for until the lock runs out.",
    )


class RepositorySettings(StackPart):
    """A place that keeps sealed backups and WAL: a directory, or a bucket of any store that speaks S3."""

    title = "Repositories"

    url: RepositoryUrl = Field(description="file:///directory or s3://bucket/prefix.")
    endpoint: EndpointField | None = Field(
        default=None, description="URL of the S3 service, in clear or as a reference. Default: Amazon's. Only with s3://."
    )
    region: RegionName | None = Field(default=None, description="The bucket's region. Only with s3://.")
    access_key: SecretField | None = Field(
        default=None, description="Reference to the access key. Default: what the host itself is granted. Only with s3://."
    )
    secret_key: SecretField | None = Field(default=None, description="Reference to the secret key. Goes with access_key.")
    lock: LockSettings | None = Field(
        default=None, description="What is stored cannot be removed for so long. Default: no lock. Only with s3://."
    )
    location: Line | None = Field(
        default=None, description="Where in the world it stands, for the disaster recovery plan: a building, a region."
    )


class EncryptionSettings(StackPart):
    """Who can read what is stored, and whose word about it is believed."""

    title = "Encryption and trust"

    sealing: SealingField = Field(
        default=Sealing.AGE,
        description="age, or gpg for those who must have AES-256 through GnuPG. It holds for everything in the repositories of "
        "this file; one that was begun with the other is refused.",
    )
    recipients: tuple[Recipient, ...] = Field(
        min_length=1,
        description="Public keys that everything is sealed to: of age, or with gpg fingerprints. Keep one whose identity lies in "
        "a safe.",
    )
    public_keys: tuple[PublicKeyField, ...] = Field(
        default=(),
        description="With gpg: the public key of each recipient, armored, here or as file:/path. No keyring is asked. Not with "
        "age.",
    )
    identity: SecretField | None = Field(
        default=None,
        description="Reference to the age identity, or with gpg to an armored secret key without a passphrase. Needed only where "
        "restores and drills run. It may hold several, one behind the other: an earlier one opens what was sealed to it.",
    )
    signing_key: SecretField | None = Field(
        default=None, description="Reference to the Ed25519 private key, 32 bytes in base64, that signs what is stored."
    )
    signers: tuple[SignerKey, ...] = Field(
        default=(), description="Ed25519 public keys, base64, whose signatures are believed. Default: only that of signing_key."
    )


class StateSettings(StackPart):
    """Where Understudy keeps what it remembers."""

    title = "State"

    directory: AbsolutePath | None = Field(
        default=None,
        description="Directory of the state database, spools and receipts; one per stack. Default: /var/lib/understudy/<stack> "
        "for root, else understudy/<stack> below $XDG_STATE_HOME or ~/.local/state.",
    )


class VerificationSettings(StackPart):
    """How serve reads back what is stored, and compares it with what was signed. Each run reads what was not read for longest."""

    title = "Verification"

    scheduled: Flag = Field(default=True, description="Whether serve does so by itself.")
    schedule: Cron = Field(default="0 4 * * *", description="When a run begins.")
    timezone: Zone = Field(default="UTC", description="The time zone of the schedule.")
    jitter: Duration = JITTER
    budget: ReadBudget = Field(
        default=20 * 2**30,
        description="How much a run reads from each repository, at most; one object is read also where it is larger. What a full "
        "cycle takes is shown by understudy status. Some stores charge for what is read.",
    )


class CalendarSettings(StackPart):
    """What holds for all drills of the calendar, and whether it begins with the usual ones."""

    title = "The calendar of drills"

    standard: Flag = Field(
        default=False,
        description="Add the usual drills to those of drills: each resource daily (daily-<resource>: database_corruption of a "
        "database, storage_loss of what is none), the data_loss of each database monthly (monthly-<database>), and quarterly the "
        "complete_failure of all of them (quarterly-everything). A bucket without drill.url is left out. One of drills of the "
        "same name stands in its place.",
    )
    timezone: Zone = Field(
        default="UTC", description="The time zone of days, weeks, months, quarters, windows and cron expressions."
    )
    window: TimeOfDayWindow = Field(
        default="01:00-05:00",
        description="Between which times of day serve may begin a drill. It may cross midnight. With a cron expression a "
        "drill begins at any time, unless it names a window itself.",
    )
    max_duration: Interval = Field(
        default=timedelta(hours=4),
        description="How long a drill may take. One that takes longer is ended, cleaned up, and counts as failed.",
    )


class CalendarDrill(StackPart):
    """A drill that is to pass once in each period. serve holds it by itself; one by hand that does the same counts as well."""

    title = "Drills of the calendar"

    scenario: ScenarioName = Field(description="What is rehearsed, as in understudy drill.")
    resources: Names = Field(
        default=(),
        description="Names of what is lost, of services in application_failure. Default: what the scenario takes where there "
        "is no choice.",
    )
    every: Every = Field(
        description="How often one must pass: once in each day, week (from Monday), month or quarter; or in what lies between "
        "two moments of a cron expression."
    )
    timezone: Zone | None = Field(default=None, description="Its time zone. Default: the calendar's.")
    window: TimeOfDayWindow | None = Field(
        default=None,
        description="Between which times of day serve may begin it. Default: the calendar's; with a cron expression at any time.",
    )
    max_duration: Interval | None = Field(default=None, description="How long it may take. Default: the calendar's.")
    priority: Priority = Field(default="P2", description="Which drill is begun first where several are due: P1 before P2 and P3.")
    repository: Name | None = Field(
        default=None, description="The repository that it restores from. Default: the first of each resource."
    )
    identity: SecretField | None = Field(
        default=None,
        description="Reference to the identity that opens what is stored, such as the recovery kit's. Default: the stack file's.",
    )


BUILT_IN_TIERS: Mapping[str, Objective] = {
    "critical": Objective(rto=timedelta(minutes=15), rpo=timedelta(minutes=5)),
    "high": Objective(rto=timedelta(hours=1), rpo=timedelta(minutes=15)),
    "standard": Objective(rto=timedelta(hours=4), rpo=timedelta(hours=1)),
}


def _with_built_in(tiers: Mapping[str, Objective]) -> Mapping[str, Objective]:
    return {**BUILT_IN_TIERS, **tiers}


class Stack(StackPart):
    """A stack: what is protected, where copies are kept, and what a recovery must achieve.

    A stack that exists is free of contradictions: names refer to something, and no two recoveries land on one another.
    """

    title = "The whole file"

    stack: Name = Field(description="The stack's name.")
    tiers: Annotated[Mapping[Name, Objective], AfterValidator(_with_built_in)] = Field(
        default_factory=lambda: dict(BUILT_IN_TIERS),
        description="Objectives by tier. critical (15m, 5m), high (1h, 15m) and standard (4h, 1h) exist already; add or "
        "override.",
    )
    objectives: ScenarioObjectives = Field(default=ScenarioObjectives(), description="Objectives by scenario.")
    repositories: Mapping[Name, RepositorySettings] = Field(
        min_length=1, description="Where copies are kept, by name. Two in different places are better than one."
    )
    encryption: EncryptionSettings = Field(description="Who can read what is stored, and who is believed.")
    state: StateSettings = Field(default=StateSettings(), description="Where Understudy keeps what it remembers.")
    verification: VerificationSettings = Field(
        default=VerificationSettings(), description="How what is stored is read back, a part of it at a time."
    )
    calendar: CalendarSettings = Field(
        default=CalendarSettings(), description="What holds for all drills that are held by the calendar."
    )
    drills: Mapping[Name, CalendarDrill] = Field(
        default_factory=dict, description="Drills that are to be held regularly, by name. Default: none."
    )
    resources: Mapping[Name, Resource] = Field(
        min_length=1,
        description="What is protected, by name: databases, directories, buckets. The kind says which, and so its keys.",
    )
    services: Mapping[Name, Service] = Field(
        default_factory=dict,
        description="What serves, by name: applications that a recovery stops before, and starts and checks after what they "
        "depend "
        "on. No service has the name of a resource.",
    )
    security_incident: IntrusionSettings = Field(
        default=IntrusionSettings(), description="What is done beside the recovery where somebody was in the system."
    )
    contacts: Mapping[Name, Contact] = Field(
        default_factory=dict, description="Who is needed in a disaster, by a short name. Printed in the disaster recovery plan."
    )

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> Stack:
        found = tuple(contradictions(self))
        if found:
            raise Contradictions(found)
        return self

    def tier_of(self, name: str) -> Objective:
        """Of a resource or a service."""
        return self.tiers[(self.resources.get(name) or self.services[name]).tier]

    def part(self, name: str) -> Resource | Service | None:
        """What comes back under that name: a resource, or a service."""
        return self.resources.get(name) or self.services.get(name)

    def objective_of(self, scenario: Scenario) -> Objective:
        found: Objective = getattr(self.objectives, scenario.value)
        return found

    def repositories_of(self, resource: str) -> tuple[str, ...]:
        """Names, in the order of the file."""
        return self.resources[resource].repositories or tuple(self.repositories)

    def slot_of(self, resource: str) -> str:
        """The replication slot's name: the declared one, or one made of the names, at most 63 bytes, unlike any other's."""
        found = self.resources[resource]
        declared = found.wal.slot if isinstance(found, PostgresResource) else None
        return declared or slot_name(self.stack, resource)


def slot_name(stack: str, resource: str) -> str:
    """``understudy_<stack>_<resource>``. Where that would be too long, or could be another pair's, a digest of both is added."""
    plain = f"understudy_{stack}_{resource}"
    if len(plain) <= 63 and "-" not in plain and plain.count("_") == 2:
        return plain
    digest = hashlib.sha256(f"{stack}/{resource}".encode()).hexdigest()[:8]
    return f"{plain.replace('-', '_')[:54]}_{digest}"
