"""Connection strings that stand in the stack file in clear: allowed as long as no secret is part of them.

libpq itself parses them, because only libpq knows all the ways in which a password can be written into one.
"""

from __future__ import annotations

from understudy.stack.expectation import Unfit

CONNECTION_TEXT = (
    "a reference to a connection string (env:NAME or file:/path), "
    "or a connection string without a password, such as postgresql://backup@db.example/postgres"
)


def check_connection_string(text: str) -> None:
    """
    Raises:
        Unfit: libpq cannot parse it, or it holds a value that libpq itself would not display.
    """
    from psycopg import OperationalError, pq  # half of what loading costs, and most files have references

    if "=" not in text and "://" not in text:
        # libpq reads a lone word as nothing at all; an empty string would mean "whatever the environment says".
        raise Unfit(CONNECTION_TEXT)
    try:
        options = pq.Conninfo.parse(text.encode())
    except (OperationalError, UnicodeEncodeError):
        raise Unfit(CONNECTION_TEXT) from None
    secret = sorted(option.keyword.decode() for option in options if option.val and option.dispchar == b"*")
    if secret:
        raise Unfit(f"{CONNECTION_TEXT}; this one holds {' and '.join(secret)}")
