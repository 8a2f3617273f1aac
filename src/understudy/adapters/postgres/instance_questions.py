"""The questions that a server of this host is asked, and how its answers read."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.adapters.postgres.local_session import LocalSession
from understudy.ports.instance import InstanceFacts
from understudy.vocabulary.errors import GiveUp
from understudy.vocabulary.wal import Lsn, Timeline

STATE = """
SELECT pg_is_in_recovery(),
       pg_last_wal_replay_lsn(),
       to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"+00:00"'),
       CASE WHEN pg_is_in_recovery() THEN pg_is_wal_replay_paused() END,
       CASE WHEN pg_is_in_recovery()
            THEN (SELECT greatest(c.timeline_id, r.min_recovery_end_timeline)
                    FROM pg_control_checkpoint() c, pg_control_recovery() r)::text
            ELSE left(pg_walfile_name(pg_current_wal_lsn()), 8)
       END
"""
"""Outside recovery the timeline is that of the current WAL file: the checkpoint's lags behind a promotion."""

IS_AMCHECK_THERE = """
SELECT (SELECT count(*) FROM pg_class c LEFT JOIN pg_am a ON a.oid = c.relam
         WHERE (c.relkind IN ('r', 'm', 't') AND a.amname = 'heap') OR (c.relkind = 'i' AND a.amname = 'btree'))
  FROM pg_extension WHERE extname = 'amcheck'
"""
"""How many relations ``pg_amcheck`` will look at; no row where the extension is absent."""


def ask_state(session: LocalSession, last_words: tuple[str, ...]) -> InstanceFacts:
    """Raises as ``LocalSession.rows`` does."""
    try:
        rows = session.rows(STATE)
    except GiveUp:  # promoted between two of these questions, maybe; that happens once
        rows = session.rows(STATE)
    return parse_state(rows[0], last_words)


def parse_state(row: Sequence[str | None], last_words: tuple[str, ...]) -> InstanceFacts:
    in_recovery, replayed, last_commit, paused, timeline = row
    recovering = in_recovery == "t"
    return InstanceFacts(
        running=True,
        accepts_connections=True,
        in_recovery=recovering,
        replayed=Lsn.parse(replayed) if replayed else None,
        last_replayed_commit=last_commit,
        replay_paused=paused == "t" if paused else None,
        timeline=Timeline(int(timeline, 10 if recovering else 16)) if timeline else None,
        last_words=last_words,
    )
