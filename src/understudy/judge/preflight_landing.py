"""What ``understudy check`` finds of where a recovery would land: by which address, and with whose configuration. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from understudy.judge.preflight import Finding, Grade


@dataclass(frozen=True, slots=True)
class LandingFacts:
    """Of a resource whose stack file says where a recovery lands."""

    subject: str
    resource: str
    address_to_move: str | None
    """``url``'s, where it leads elsewhere and the stack file names no other."""
    recovered_url: str
    """What leads to the recovered server: a connection string without its password."""
    recovered_reference: str | None
    """Where such a string would stand beside the reference of ``url``; None where ``url`` is no reference."""
    configuration: str | None
    unreadable: Sequence[str]
    """The files that the recovered server's user can't read there."""
    ours: str
    """The directory from which Understudy itself starts a recovered server: what that is started with can be made anew."""


def judge_address(facts: LandingFacts) -> Finding:
    aspect = "recover_address"
    if facts.address_to_move is None:
        return Finding(facts.subject, aspect, Grade.OK, "what goes on after a recovery is led to this host")
    line = f"url: {facts.recovered_reference or facts.recovered_url}"
    behind = f", and behind it {facts.recovered_url} (with its password)" if facts.recovered_reference else ""
    return Finding(
        facts.subject, aspect, Grade.WARNING,
        f"{facts.address_to_move}, the url, is not where a recovery lands on this host, and no other address is named",
        "an address that leads there, or a person who moves this one while the recovery waits",
        f"in the stack file, below resources.{facts.resource}.recover: {line}{behind}",
    )  # fmt: skip


def judge_configuration(facts: LandingFacts, settings: Mapping[str, str | None] | None) -> Finding:
    """``settings``: those of the server; None where it could not be asked."""
    aspect, key = "configuration", f"resources.{facts.resource}.recover"
    if facts.configuration is not None:
        if not facts.unreadable:
            return Finding(facts.subject, aspect, Grade.OK, f"recovered servers are opened with {facts.configuration}")
        return Finding(
            facts.subject, aspect, Grade.FAILURE,
            f"{' and '.join(facts.unreadable)} in {facts.configuration} cannot be read by the server's user",
            "the files that a recovered server is opened with",
            f"copy the server's own there ({kept_outside(settings) or 'SHOW config_file; SHOW hba_file'}), owned by that user",
        )  # fmt: skip
    kept_in = kept_outside(settings, facts.ours)
    data = (settings or {}).get("data_directory")
    if kept_in is not None and kept_in == f"{data}.run":
        return Finding(
            facts.subject, aspect, Grade.OK,
            f"Understudy recovered this server, and starts it with files of {kept_in}; backups hold those of {data}, "
            "which a recovered server goes by",
        )  # fmt: skip
    if kept_in is None:
        return Finding(
            facts.subject, aspect, Grade.OK, "backups hold the server's configuration, as far as it says where that is"
        )
    directory = f"/etc/understudy/{facts.resource}"
    return Finding(
        facts.subject, aspect, Grade.FAILURE, f"the server's configuration lies in {kept_in}, which no backup holds",
        "a copy of it on this host, to open a recovered server with",
        f"copy it with all that is below it, for one to {directory}; in the stack file, below {key}: configuration: {directory}",
    )  # fmt: skip


def kept_outside(settings: Mapping[str, str | None] | None, ours: str | None = None) -> str | None:
    """The directory of the first configuration file that lies outside the data directory; None where none is known to.

    ``ours``: a directory that does not count.
    """
    data = (settings or {}).get("data_directory")
    for name in ("config_file", "hba_file"):
        path = (settings or {}).get(name)
        directory = path.rpartition("/")[0] or "/" if path else None
        if data and path and directory != ours and not path.startswith(f"{data.rstrip('/')}/"):
            return directory
    return None
