import pytest

from tests.told import told_whole
from understudy.adapters.postgres.failures import connection_failure
from understudy.vocabulary.errors import GiveUp, TryAgain


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            'FATAL:  no pg_hba.conf entry for replication connection from host "192.0.2.7", user "u", SSL off',
            "host replication u 192.0.2.7/32 scram-sha-256",
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "192.0.2.7", user "u", database "shop", SSL encryption',
            'hostssl "shop" u 192.0.2.7/32 scram-sha-256',
        ),
        (
            'FATAL:  no pg_hba.conf entry for host "2001:db8::7", user "u", database "shop", no encryption',
            'host "shop" u 2001:db8::7/128 scram-sha-256',
        ),
        (
            'FATAL:  pg_hba.conf rejects replication connection for host "[local]", user "u", no encryption',
            "local replication u scram-sha-256",
        ),
    ],
)
def test_a_refusal_by_pg_hba_names_the_line_to_add(words, line):
    refused = connection_failure(words, "db:5432")
    assert isinstance(refused, GiveUp)
    assert refused.code == "privilege_missing"
    assert refused.hint.endswith(line)


@pytest.mark.parametrize(
    ("words", "kind", "code"),
    [
        ('FATAL:  password authentication failed for user "u"', GiveUp, "password_rejected"),
        ("fe_sendauth: no password supplied", GiveUp, "password_rejected"),
        ('FATAL:  role "u" does not exist', GiveUp, "password_rejected"),
        ("FATAL:  permission denied to start WAL sender", GiveUp, "privilege_missing"),
        ("FATAL:  must be superuser or replication role to start walsender", GiveUp, "privilege_missing"),
        (
            "FATAL:  number of requested standby connections exceeds max_wal_senders (currently 0)",
            TryAgain,
            "wal_senders_exhausted",
        ),
        ("FATAL:  sorry, too many clients already", TryAgain, "connections_exhausted"),
        ('FATAL:  database "shop" does not exist', GiveUp, "database_missing"),
        ("server does not support SSL, but SSL was required", GiveUp, "tls_failed"),
        ("SSL error: certificate verify failed", GiveUp, "tls_failed"),
        ("FATAL:  the database system is starting up", TryAgain, "database_unreachable"),
        ("Connection refused", TryAgain, "database_unreachable"),
        ("could not translate host name", TryAgain, "database_unreachable"),
        ("FATAL:  Passwort-Authentifizierung für Benutzer »u« fehlgeschlagen", TryAgain, "database_unreachable"),
    ],
)
def test_each_refused_connection_has_its_code(words, kind, code):
    refused = connection_failure(f'connection to server at "db", port 5432 failed: {words}', "db:5432")
    assert isinstance(refused, kind)
    assert told_whole(refused) == code
    assert refused.found.startswith("db:5432: ")
