"""Where heartbeats lie in the protected database: written while it serves, read back once it is restored."""

from __future__ import annotations

HEARTBEAT_TABLE = "public.understudy_heartbeat"
