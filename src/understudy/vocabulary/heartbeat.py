"""Where heartbeats lie in the protected database: written while it serves, read back once it is restored."""

from __future__ import annotations

HEARTBEAT_TABLE = "public.understudy_heartbeat"


def heartbeat_privileges(*, is_there: bool) -> str:
    """What a role needs to write them, as in ``GRANT … TO role``: in the table that is there, or to make it."""
    return f"SELECT, INSERT, UPDATE ON {HEARTBEAT_TABLE}" if is_there else "CREATE ON SCHEMA public"
