"""What ``pg_controldata`` prints, as values.

Source: ``src/bin/pg_controldata/pg_controldata.c``; one ``label: value`` a line, in English under ``LC_ALL=C``.
"""

from __future__ import annotations

from understudy.ports.instance import ControlData
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.identifiers import SystemIdentifier
from understudy.vocabulary.wal import Lsn, Timeline

_REQUIRED_SETTINGS = {
    "max_connections": "max_connections setting",
    "max_worker_processes": "max_worker_processes setting",
    "max_wal_senders": "max_wal_senders setting",
    "max_prepared_transactions": "max_prepared_xacts setting",
    "max_locks_per_transaction": "max_locks_per_xact setting",
}


def parse_control_data(text: str) -> ControlData:
    """
    Raises:
        GiveUp: ``control_file_corrupted``: the file's checksum is wrong, or a line that every version prints is absent.
    """
    warning = next((line for line in text.splitlines() if "warning:" in line.lower()), None)
    if warning is not None:
        raise _corrupted(warning)
    values = {label.strip(): value.strip() for label, _, value in (line.partition(":") for line in text.splitlines())}
    try:
        minimum_recovery_end = Lsn.parse(values["Minimum recovery ending location"])
        return ControlData(
            system_identifier=SystemIdentifier(values["Database system identifier"]),
            cluster_state=values["Database cluster state"],
            timeline=Timeline(int(values["Latest checkpoint's TimeLineID"])),
            checkpoint_lsn=Lsn.parse(values["Latest checkpoint location"]),
            redo_lsn=Lsn.parse(values["Latest checkpoint's REDO location"]),
            minimum_recovery_end=minimum_recovery_end if minimum_recovery_end.position else None,
            data_checksums=values["Data page checksum version"] != "0",
            segment_bytes=int(values["Bytes per WAL segment"]),
            required_settings={name: values[label] for name, label in _REQUIRED_SETTINGS.items()},
        )
    except (KeyError, ValueError) as error:
        raise _corrupted(f"pg_controldata's answer lacks or garbles {error}") from error


def _corrupted(found: str) -> GiveUp:
    return GiveUp(
        "control_file_corrupted",
        found=found,
        expected="a global/pg_control whose own checksum holds",
        hint="this data directory is damaged: restore it again, from another backup if it came out of one",
    )
