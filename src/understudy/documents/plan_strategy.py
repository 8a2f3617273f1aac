"""Of the disaster recovery plan: how backups are made and kept, what runs by itself, where everything is, and what it "
"stands on."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.documents.disaster_plan import DisasterPlan, PlannedResource, RepositoryRead
from understudy.documents.paper import Block, Chapter, Grid, Lines, Pairs, Points, Said, Text, Tone, Verbatim
from understudy.documents.words import duration
from understudy.stack.dumps import PostgresDumpResource
from understudy.stack.models import RepositorySettings
from understudy.stack.resources import PostgresResource, Resource
from understudy.stack.snapshots import BucketResource, FilesResource
from understudy.stack.streams import CommandResource, RedisResource
from understudy.stack.units import format_duration
from understudy.vocabulary.sizes import readable_size

NOT_DECLARED = Said("not declared", Tone.OPEN)


def backup_chapter(plan: DisasterPlan) -> Chapter:
    stack = plan.stack
    rows = tuple(_backup_row(plan, each) for each in plan.resources)
    keep = tuple(_keep_row(each.name, stack.resources[each.name]) for each in plan.resources)
    sealed = "age (X25519, ChaCha20-Poly1305)" if stack.encryption.sealing == "age" else "GnuPG (OpenPGP, AES-256)"
    identity = stack.encryption.identity
    return Chapter(
        "Backup strategy",
        (
            Grid(("Resource", "How", "When", "Where", "Newest"), rows, "What is backed up, how, how often and where"),
            Grid(
                ("Resource", "Days", "Weeks", "Months", "By hand", "Any moment of the last"),
                keep,
                "What is kept: the newest backup of each of so many days, weeks and months",
                ("Days", "Weeks", "Months"),
            ),
            Chapter(
                "Sealing, and who can open it",
                (
                    Pairs(
                        (
                            ("sealed with", sealed),
                            ("who can open", [*_listed(plan.recipients), " (whoever holds the identity of one of these)"]),
                            (
                                "opened here with",
                                Verbatim(str(identity)) if identity is not None else "nothing: no identity is declared",
                            ),
                            ("believed signers", _listed(plan.signers) if plan.signers else "not known here"),
                        )
                    ),
                    Lines(
                        "Every object is sealed before it leaves this host, and every manifest is signed. Nothing in a "
                        "repository is "
                        "overwritten. Who keeps the recovery kit can open everything without this host: see roles."
                    ),
                ),
            ),
            Chapter("Read back and compared", tuple(_read_back(plan))),
        ),
    )


def _listed(names: tuple[str, ...]) -> list[str | Verbatim]:
    return [part for number, each in enumerate(names) for part in ([", "] if number else []) + [Verbatim(each)]]


def _backup_row(plan: DisasterPlan, each: PlannedResource) -> tuple[Text, ...]:
    settings = plan.stack.resources[each.name]
    newest: Text = Said("none", Tone.BAD)
    if each.newest_backup is not None:
        newest = [Verbatim(each.newest_backup), " of ", each.newest_backup_at]
    return each.name, _how(settings), _when(settings), ", ".join(plan.stack.repositories_of(each.name)), newest


def _how(settings: Resource) -> str:
    if isinstance(settings, PostgresResource):
        wal = "received synchronously" if settings.wal.synchronous else "received as it is written"
        return f"base backups, and WAL: {wal}, its end stored every {duration(settings.wal.ship_every)}"
    if isinstance(settings, FilesResource):
        return f"snapshots of the directory {settings.path}"
    if isinstance(settings, BucketResource):
        return f"snapshots of the bucket {settings.url}"
    if isinstance(settings, PostgresDumpResource):
        return "logical dumps of its databases"
    if isinstance(settings, RedisResource):
        return "snapshots of what the server sends a replica (RDB)"
    return "snapshots of what a command writes"


def _when(settings: Resource) -> Text:
    if isinstance(settings, PostgresResource):
        said = {"full": settings.backup.full, "incremental": settings.backup.incremental}
        scheduled = [f"{kind} {cron}" for kind, cron in said.items() if cron]
    else:
        scheduled = [settings.backup.schedule] if settings.backup.schedule else []
    if not scheduled:
        return Said("only when asked for", Tone.OPEN)
    return [Verbatim("; ".join(scheduled)), f" ({settings.backup.timezone})"]


def _keep_row(name: str, settings: Resource) -> tuple[Text, ...]:
    keep = settings.keep
    return (
        name,
        str(keep.daily),
        str(keep.weekly),
        str(keep.monthly),
        format_duration(keep.manual),
        format_duration(keep.point_in_time),
    )


def _read_back(plan: DisasterPlan) -> Iterator[Block]:
    settings = plan.stack.verification
    if settings.scheduled:
        yield Lines(
            [
                "serve reads back what is stored ",
                Verbatim(settings.schedule),
                f" ({settings.timezone}), at most {readable_size(settings.budget)} of each repository a time, and compares "
                f"it with what "
                "was signed.",
            ]
        )
    else:
        yield Lines(Said("Reading back is turned off in the stack file.", Tone.OPEN))
    rows = tuple(_read_row(each) for each in plan.read_back)
    yield Grid(("Repository", "Stored", "Never read yet", "Damaged", "Read longest ago"), rows, "What was read back so far",
               ("Stored", "Never read yet", "Damaged"))  # fmt: skip


def _read_row(each: RepositoryRead) -> tuple[Text, ...]:
    damaged: Text = Said(str(each.damaged), Tone.BAD) if each.damaged else "0"
    if not each.size_bytes:
        return each.repository, "not known", "not known", damaged, Said("never measured", Tone.OPEN)
    return (
        each.repository,
        readable_size(each.size_bytes),
        readable_size(each.never_read_bytes),
        damaged,
        each.oldest_read or Said("nothing was read yet", Tone.OPEN),
    )


def automation_chapter(plan: DisasterPlan) -> Chapter:
    running = (
        Said("It ran when this plan was made.", Tone.GOOD)
        if plan.serving
        else Said("It did not run when this plan was made.", Tone.BAD)
    )
    scheduled = tuple(
        [f"{each.name}: next backup ", each.next_backup if each.next_backup is not None else NOT_DECLARED]
        for each in plan.resources
    )
    return Chapter(
        "Automation",
        (
            Lines([Verbatim("understudy serve"), " runs by itself what stands here. ", running]),
            Points(
                (
                    "It receives WAL without a pause, and stores it in every repository; after a loss of WAL it says so and "
                    "takes a full "
                    "backup.",
                    "It takes backups by their schedules, makes up once for what was missed, and lets the rules of "
                    "retention remove the rest.",
                    "It reads back what is stored, and marks what it finds damaged.",
                    "It lays down the evidence of each run beside the records and, sealed, in every repository.",
                    "It goes on with runs that were cut off, and with what has to follow a run that failed.",
                )
            ),
            Points(scheduled),
            Lines("No recovery starts by itself: a person starts it, and a person agrees before anything is touched."),
        ),
    )


def monitoring_chapter(plan: DisasterPlan) -> Chapter:
    return Chapter(
        "Monitoring and alerting",
        (
            Grid(
                ("What", "Seen in", "Tells by itself"),
                (
                    (
                        "exposure: work that is in no repository yet",
                        Verbatim("understudy status"),
                        "no: a warning in serve's log",
                    ),
                    ("room of the replication slot", Verbatim("understudy status"), "no: a warning in serve's log"),
                    ("backups that failed or are due", Verbatim("understudy status"), "no"),
                    ("damage found by reading back", Verbatim("understudy backups"), "no: the run fails"),
                    ("readiness as a whole", Verbatim("understudy readiness"), "no: by its exit code"),
                    ("drills that are overdue", Verbatim("understudy drills"), "no: by its exit code"),
                    ("runs that wait for a person", Verbatim("understudy status"), "no"),
                ),
                "What this version watches, and how somebody learns of it",
            ),
            Lines(
                [
                    Said("This version sends no message: ", Tone.OPEN),
                    "no mail, no pager, no webhook, and it serves no metrics. Whatever watches this host has to run ",
                    Verbatim("understudy status --json"),
                    " and to alert by what it says and by its exit code.",
                ]
            ),
        ),
    )


def locations_chapter(plan: DisasterPlan) -> Chapter:
    repositories = tuple(_repository_row(name, each) for name, each in plan.stack.repositories.items())
    landings = tuple(row for each in plan.resources for row in _landing(each.name, plan.stack.resources[each.name]))
    return Chapter(
        "Locations",
        (
            Grid(("Repository", "Address", "Where it stands"), repositories, "Where copies are kept"),
            Grid(("Resource", "A real recovery brings it up in"), landings, "Where everything comes back"),
            Pairs((("records of this control plane", Verbatim(plan.state)), ("stack file", Verbatim(plan.stack_file)))),
        ),
    )


def _repository_row(name: str, settings: RepositorySettings) -> tuple[Text, ...]:
    return name, Verbatim(settings.url), settings.location or NOT_DECLARED


def _landing(name: str, settings: Resource) -> Iterator[tuple[Text, ...]]:
    if isinstance(settings, PostgresResource):
        where: Text = NOT_DECLARED
        if settings.recover is not None:
            where = [Verbatim(settings.recover.directory), f", port {settings.recover.port}, on the host that runs the recovery"]
    elif isinstance(settings, FilesResource):
        where = [Verbatim(settings.path), "; what stands there is set aside"]
    elif isinstance(settings, BucketResource):
        where = [Verbatim(settings.url), ", which must be empty"]
    elif isinstance(settings, PostgresDumpResource):
        where = "a server that a person names: understudy restore"
    elif isinstance(settings, CommandResource):
        where = NOT_DECLARED if settings.load is None else "wherever its load command puts it"
    else:
        where = NOT_DECLARED if settings.recover is None else Verbatim(settings.recover.directory)
    yield name, where


def dependencies_chapter(plan: DisasterPlan) -> Chapter:
    stack, stores = plan.stack, [each.url for each in plan.stack.repositories.values()]
    databases = [name for name, each in stack.resources.items() if isinstance(each, PostgresResource)]
    needs: list[Text] = [
        ["a repository that can be read: ", *_listed(tuple(stores)), "; one is enough"],
        "the recovery kit, or the identity that the stack file names",
        "a host with Understudy (Python 3.11) and room for what comes back",
        f"PostgreSQL's server programs of the major version, for {', '.join(databases)}" if databases else None,
        "GnuPG (gpg)" if stack.encryption.sealing == "gpg" else "age, or Python's pyrage, which comes with Understudy",
        "the secrets that the stack file refers to, in the environment or in files",
        "the network to the repositories" if any(not url.startswith("file:") for url in stores) else None,
        "redis-server, to try what came back"
        if any(isinstance(each, RedisResource) for each in stack.resources.values())
        else None,
    ]
    edges = tuple((each.name, ", ".join(each.depends_on)) for each in plan.parts if each.depends_on)
    return Chapter(
        "Dependencies",
        (
            Lines("A recovery needs these, and no other service of ours; the controller is where the command is typed:"),
            Points(tuple(each for each in needs if each is not None)),
            Grid(("Resource or service", "Needs first"), edges, "What must serve before it is recovered")
            if edges
            else Lines("No resource is declared to depend on another one."),
            Lines(["Whether all of it is there now says ", Verbatim("understudy check"), "."]),
        ),
    )
