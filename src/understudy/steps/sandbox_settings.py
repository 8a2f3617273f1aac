"""The settings under which a restored copy can do no harm.

Sources: PostgreSQL manual, "Hot Standby" (the five settings that a standby may not undercut), "Continuous Archiving"
(a clone must not archive into its source's archive).
"""

from __future__ import annotations

from collections.abc import Mapping

from understudy.ports.instance import ControlData


def sandbox_settings(control: ControlData) -> dict[str, str]:
    """No archiving, no foreign commands, no outgoing replication, no waiting for standbys that never come, no preloaded code; and
    no target that an earlier recovery by hand left behind, because that would end this one elsewhere, or with a second target.

    Everything that a restored configuration could reach out with is overridden here, because ``postgresql.auto.conf`` is read
    from the data directory whatever configuration file is named.
    """
    return dict(control.required_settings) | {
        "archive_mode": "off",
        "archive_command": "",
        "restore_command": "",
        "recovery_end_command": "",
        "archive_cleanup_command": "",
        "recovery_target": "",
        "recovery_target_time": "",
        "recovery_target_lsn": "",
        "recovery_target_xid": "",
        "recovery_target_name": "",
        "recovery_target_inclusive": "on",
        "recovery_target_timeline": "latest",
        "primary_conninfo": "",
        "primary_slot_name": "",
        "synchronous_standby_names": "",
        "max_logical_replication_workers": "0",
        "shared_preload_libraries": "",
        "session_preload_libraries": "",
        "local_preload_libraries": "",
        "ssl": "off",
        "logging_collector": "off",
        "log_destination": "stderr",
        "wal_level": "replica",
        "hot_standby": "on",
        "external_pid_file": "",
    }


def recovery_settings(control: ControlData, restore_command: str, target: Mapping[str, str]) -> dict[str, str]:
    """A closed server that replays until the target, then pauses. ``standby.signal`` keeps it from promoting by itself."""
    replaying = sandbox_settings(control) | {
        "restore_command": restore_command,
        "recovery_target_action": "pause",
        "wal_retrieve_retry_interval": "50ms",
        "recovery_min_apply_delay": "0",
    }
    # Last, because the server takes an empty target of any kind for the wish to have none, and the later one counts.
    return {name: value for name, value in replaying.items() if name not in target} | dict(target)


def sandbox_hba() -> tuple[str, ...]:
    """Only over the socket, whose directory only the server's user and Understudy may enter."""
    return ("local all all trust", "local replication all trust")
