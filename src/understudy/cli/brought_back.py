"""The last words of a restore, a drill or a recovery: from what, up to where, and what lies where now."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import cast

import click

from understudy.app.run_view import RunView, views_by_resource
from understudy.cli.printing import moment, say
from understudy.plan.plan import Procedure
from understudy.vocabulary.json import Json, JsonObject
from understudy.vocabulary.sizes import readable_size

_CONFIGURATION = "postgresql.conf"


def print_brought_back(view: RunView) -> None:
    """Whatever the evidence holds of it: a run that failed may have restored something, or set something aside."""
    views = views_by_resource(view)
    for name, own in views.items():
        if len(views) > 1:
            say(f"{name}:")
        _print_brought_back(own)


def _print_brought_back(view: RunView) -> None:
    restored, replayed, provisioned = (_proof(view, verb) for verb in ("restore-base-backup", "replay-wal", "provision-target"))
    from_snapshot = _proof(view, "restore-snapshot")
    if "label" in from_snapshot:
        _print_from_snapshot(view, from_snapshot)
    if "labels" in restored:
        say(f"from backup:   {' + '.join(cast(list[str], restored['labels']))}")
    copy = _proof(view, "take-warm-copy")
    if "labels" in copy:
        verified = moment(datetime.fromisoformat(str(copy["verified"])))
        say(f"warm copy:     of backup {cast(list[str], copy['labels'])[-1]}, verified {verified}")
    for left in cast(list[JsonObject], _proof(view, "ship-remaining-wal").get("old_server", [])):
        if left["taken_bytes"]:
            taken = readable_size(cast(int, left["taken_bytes"]))
            say(f"old server:    {taken} of WAL that nobody had received, up to {left['reaches']}, out of {left['directory']}")
    if "replayed_lsn" in replayed:
        say(f"reached:       {replayed['replayed_lsn']} on timeline {replayed['timeline']}, {_last_commit(replayed)}")
    for check in cast("list[JsonObject]", _proof(view, "verify-database").get("checks", [])):
        say(f"check:         {check.get('name') or check['sql']}: {check['answer']}", hang=15)
    if view.run.procedure == Procedure.DRILL:
        return
    taken_out = _proof(view, "take-out")
    if "rows" in taken_out:
        rows = f"{taken_out['rows']} rows in {taken_out['tables']} tables, as many as the server counted"
        say(f"taken out:     {taken_out['directory']} ({rows})")
    elif view.succeeded and "directory" in provisioned:
        opened = _proof(view, "open-to-clients")
        say(f"database:      {provisioned['directory']}{_address(opened)}")
        if "hba_copied_from" in opened:
            say(
                f"access rules:  {opened['hba_file']} until the server is started again, then {opened['hba_copied_from']}, of "
                "which it is a copy: put a new rule into both, then SELECT pg_reload_conf()",
                hang=15,
            )
    for aside in (*_set_aside(provisioned), *_set_aside(replayed)):
        say(f"set aside:     {aside}")


def _print_from_snapshot(view: RunView, restored: Mapping[str, Json]) -> None:
    said = f"{restored['entries']} entries, {readable_size(cast(int, restored['content_bytes']))}"
    say(f"from snapshot: {restored['label']} in {restored['repository']} ({said})")
    loaded = _proof(view, "load")
    if "sha256" in loaded:
        say(f"loaded:        {readable_size(cast(int, loaded['content_bytes']))}, SHA-256 {loaded['sha256']}")
    elif "databases" in loaded:
        for name, each in cast("Mapping[str, JsonObject]", loaded["databases"]).items():
            say(f"loaded:        {name}: {each['rows']} rows in {each['tables']} tables, as many as were dumped")
        say(f"server:        {loaded['server']}")
    elif view.succeeded and view.run.procedure != Procedure.DRILL:
        say(f"restored to:   {_proof(view, 'provision-target')['place']}")
    tried = _proof(view, "try-restored")
    if "keys_loaded" in tried:
        say(f"tried:         a server loaded {tried['keys_loaded']} keys in {tried['databases']} databases")
    elif "rows" in tried:
        told = f"{tried['databases']} databases, {tried['rows']} rows in {tried['tables']} tables"
        say(f"tried:         a server of PostgreSQL {tried['server_major']} loaded {told}")
        for check in cast("list[JsonObject]", tried["checks"]):
            say(f"check:         {check.get('name') or check['sql']}: {check['answer']}", hang=15)
    elif "reason" in tried:
        say(f"not tried:     {tried['reason']}", hang=15)


def print_how_to_start(view: RunView, programs: str | None) -> None:
    """Of a database that was left stopped where the run restored it."""
    directory = Path(str(_proof(view, "provision-target")["directory"]))
    if not (directory / _CONFIGURATION).exists():
        say(f"No configuration came with it: the server kept it outside its data directory. Give {directory} one to start it.")
        return
    program = "pg_ctl" if programs is None else f"{programs}/pg_ctl"
    as_owner = ("runuser", "-u", directory.owner(), "--") if os.geteuid() == 0 else ()
    command = shlex.join([*as_owner, program, "-D", str(directory), "-l", str(directory / "server.log"), "start"])
    say(f"It is stopped. Look at port and addresses in its {_CONFIGURATION}, then start it with:")
    click.echo(f"  {command}")  # in one piece, to be copied


def is_taken_out(view: RunView) -> bool:
    """Whether one database, or one table, of it is all that stays."""
    return "rows" in _proof(view, "take-out")


def print_how_to_load(view: RunView) -> None:
    say("It is a dump in pg_dump's directory format. Load it into a database that lacks it with:")
    click.echo(f"  {shlex.join(['pg_restore', '--exit-on-error', '--dbname=NAME', str(_proof(view, 'take-out')['directory'])])}")


def _proof(view: RunView, verb: str) -> Mapping[str, Json]:
    found = next((step for step in view.steps if step.key.endswith(f"/{verb}")), None)
    return found.evidence.proof if found is not None and found.evidence is not None else {}


def _set_aside(proof: Mapping[str, Json]) -> list[str]:
    """The proof of a step that failed holds texts only."""
    found = proof.get("set_aside", [])
    return found.split(", ") if isinstance(found, str) else cast(list[str], found)


def _last_commit(replayed: Mapping[str, Json]) -> str:
    at = replayed.get("last_replayed_commit")
    return f"last commit {moment(datetime.fromisoformat(str(at)))}" if at else "no commit behind the backup"


def _address(opened: Mapping[str, Json]) -> str:
    if "port" not in opened:
        return ""
    addresses = f"{opened['listen_addresses']}, " if opened["listen_addresses"] else ""
    return f" ({addresses}port {opened['port']}, socket in {opened['socket_directory']})"
