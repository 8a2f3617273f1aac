"""Of the disaster recovery plan: who does what, what is told to whom, and what is left to do afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from understudy.documents.disaster_plan import DisasterPlan
from understudy.documents.paper import Block, Chapter, Grid, Lines, Points, Said, Template, Text, Tone, Verbatim
from understudy.documents.words import duration, words
from understudy.stack.contacts import ROLES


def roles_chapter(plan: DisasterPlan) -> Chapter:
    missing = [role for role in ROLES if not _in_role(plan, role)]
    own = dict.fromkeys(role for each in plan.stack.contacts.values() for role in each.roles if role not in ROLES)
    rows = tuple(row for role in (*ROLES, *own) for row in _role_rows(plan, role))
    return Chapter(
        "Roles and contacts",
        (
            Grid(("Role", "What it does", "Who", "Reached by"), rows, "Who does what"),
            *_missing(missing),
        ),
    )


def _in_role(plan: DisasterPlan, role: str) -> list[str]:
    return [name for name, each in plan.stack.contacts.items() if role in each.roles]


def _role_rows(plan: DisasterPlan, role: str) -> Iterator[tuple[Text, ...]]:
    names, task = _in_role(plan, role), ROLES.get(role, "a role of this stack's own")
    if not names:
        yield words(role), task, Said("not declared", Tone.OPEN), ""
    for number, name in enumerate(names):
        found = plan.stack.contacts[name]
        stands_in = " (stands in)" if number else ""
        yield words(role), task if number == 0 else "", f"{found.who}{stands_in}", "; ".join(found.reach)


def _missing(roles: list[str]) -> Iterator[Block]:
    if roles:
        yield Lines(
            [
                Said("Nobody is declared for: ", Tone.OPEN),
                f"{', '.join(map(words, roles))}. Name them in the stack file, under ",
                Verbatim("contacts"),
                ", and make this plan anew.",
            ]
        )


def communication_chapter(plan: DisasterPlan) -> Chapter:
    """What is in brackets nobody can know beforehand."""
    stack = plan.stack.stack
    within = duration(plan.stack.objectives.complete_failure.rto)
    return Chapter(
        "Communication templates",
        (
            Lines("Times in UTC. Fill in what stands in square brackets; promise no time that was not measured."),
            Chapter(
                "A disaster is declared (to all roles)",
                (
                    Template(
                        (
                            f"[time] UTC: {stack}: [scenario] is declared by [name]. [What is seen, and since when.]",
                            "Recovery is led by [name]. The next message comes at [time], also if there is nothing new.",
                            f"If everything is lost, the objective is to serve again within {within} of the disruption.",
                        )
                    ),
                ),
            ),
            Chapter(
                "How it stands",
                (
                    Template(
                        (
                            f"[time] UTC: {stack}: run [run] is at [step]. Back so far: [resources]. Not back yet: [resources].",
                            "[What is waited for.] The next message comes at [time].",
                        )
                    ),
                ),
            ),
            Chapter(
                "To users and customers",
                (
                    Template(
                        (
                            f"Since [time] UTC {stack} is [not available / limited]. We are restoring it from backups.",
                            "What you entered up to [time] UTC is safe. [What was entered later may have to be entered again.]",
                            "We tell you more at [time] UTC.",
                        )
                    ),
                ),
            ),
            Chapter(
                "It serves again",
                (
                    Template(
                        (
                            f"[time] UTC: {stack} serves again since [time]. It was out of service for [duration]. Work "
                            f"lost, at most: "
                            "[duration, by resource].",
                            "The figures are those of run [run]; its evidence is signed. The incident record follows by [date].",
                        )
                    ),
                ),
            ),
        ),
    )


def after_recovery_chapter(plan: DisasterPlan) -> Chapter:
    return Chapter(
        "After a recovery",
        (
            Lines("Tick off, and write the time beside it."),
            Points(
                (
                    "users and applications reach the recovered service at its address",
                    [
                        "protection has begun anew: ",
                        Verbatim("understudy status"),
                        " shows a new backup and an exposure within the objective",
                    ],
                    ["every repository holds the new backup: ", Verbatim("understudy backups")],
                    ["serve runs again under its supervisor: ", Verbatim("understudy serve")],
                    "the recovered database starts again after a reboot (the line for it stands in the run's last words)",
                    "the old server stays off, until it was rebuilt; what was set aside is kept until somebody decides otherwise",
                    "passwords and keys that may have been seen are changed",
                    ["the evidence is as it was signed: ", Verbatim("understudy evidence verify")],
                    ["the incident record is written: ", Verbatim("understudy evidence incident RUN")],
                    ["what is to change is a finding with an owner and a date: ", Verbatim("understudy findings add")],
                    "users, customers and the management were told that it is over",
                    ["a drill of the same scenario has passed on the recovered stack: ", Verbatim("understudy drill SCENARIO")],
                    ["this plan is made anew: ", Verbatim("understudy document plan")],
                ),
                to_tick=True,
            ),
        ),
    )
