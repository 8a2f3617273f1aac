"""What a server that ended said last, put into our errors."""

import pytest

from understudy.adapters.postgres.last_words import why_it_ended

REFUSALS = (
    "the database system is starting up", "the database system is shutting down", "the database system is in recovery mode",
    "the database system is not yet accepting connections", "the database system is not accepting connections",
    "terminating connection due to administrator command",
)  # fmt: skip
NO_LINK = (
    '2026-11-27 03:00:00 UTC [7] FATAL:  could not create symbolic link "pg_tblspc/16388": Permission denied',
    '2026-11-27 03:00:00 UTC [7] CONTEXT:  WAL redo at 0/3006430 for Tablespace/CREATE: 16388 "/srv/late"',
    "2026-11-27 03:00:00 UTC [5] LOG:  startup process (PID 7) exited with exit code 1",
)


@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_client_that_is_refused_while_a_server_ends_is_not_taken_for_the_cause(refusal):
    ended = why_it_ended([*NO_LINK, f"2026-11-27 03:00:01 UTC [9] FATAL:  {refusal}"], "/srv/copy", "/srv/copy.log")
    assert ended.code == "tablespace_not_in_backup"
    assert ended.found.endswith('CONTEXT: WAL redo at 0/3006430 for Tablespace/CREATE: 16388 "/srv/late"'), "where, and which"


def test_a_tablespace_that_wal_makes_is_in_no_backup_also_where_its_directory_is_not_there():
    words = ['FATAL:  directory "/srv/late" does not exist', "HINT:  Create this directory for the tablespace before restarting."]
    ended = why_it_ended(words, "/srv/recovered", "/srv/recovered.log")
    assert (ended.code, "take a new backup" in ended.hint) == ("tablespace_not_in_backup", True)
    assert "/srv/late" in ended.found
    elsewhere = why_it_ended(['FATAL:  data directory "/srv/recovered" does not exist'], "/srv/recovered", "/srv/recovered.log")
    assert elsewhere.code == "instance_failed"
