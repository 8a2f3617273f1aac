import hashlib
from datetime import timedelta

import pytest

from tests.stack.files import FIVE_KEYS, RECIPIENT, file_with, load, mistakes_in, only_mistake
from understudy.stack.loader import LARGEST_BYTES, load_stack, parse_stack
from understudy.stack.models import Scenario, slot_name
from understudy.stack.secrets import PlainText, SecretPlace, SecretReference
from understudy.vocabulary.errors import Refusal


def test_five_keys_make_a_working_file():
    stack = load(FIVE_KEYS)
    orders = stack.resources["orders"]
    assert orders.url == SecretReference(SecretPlace.ENVIRONMENT, "ORDERS_URL")
    assert stack.tier_of("orders").rto == timedelta(hours=4)
    assert stack.repositories_of("orders") == ("near",)
    assert orders.wal.ship_every == timedelta(seconds=10)
    assert orders.recover is None


def test_the_built_in_tiers_and_scenarios_hold_until_they_are_overridden():
    stack = load(
        file_with(
            top="""
tiers: {critical: {rto: 10m, rpo: 1m}, gold: {rto: 1m, rpo: 10s}}
objectives: {data_loss: {rto: 8h, rpo: 12h}}
"""
        )
    )
    assert stack.tiers["critical"].rto == timedelta(minutes=10)
    assert stack.tiers["high"].rpo == timedelta(minutes=15)
    assert stack.tiers["gold"].rpo == timedelta(seconds=10)
    assert stack.objective_of(Scenario.DATABASE_CORRUPTION).rpo == timedelta(minutes=15)
    assert stack.objective_of(Scenario.DATA_LOSS).rto == timedelta(hours=8)


def test_a_recovery_time_is_aimed_at_within_the_objective():
    assert load(FIVE_KEYS).objective_of(Scenario.DATABASE_CORRUPTION).target == timedelta(minutes=30)
    overridden = load(file_with(top="objectives: {database_corruption: {rto: 10m, rpo: 1m}}"))
    assert overridden.objective_of(Scenario.DATABASE_CORRUPTION).target is None
    with pytest.raises(Refusal) as refused:
        load(file_with(top="objectives: {data_loss: {rto: 1h, rpo: 1m, target: 2h}}"))
    assert "objectives.data_loss.target" in refused.value.found
    assert "no longer than rto, 1h" in refused.value.found + refused.value.expected


def test_the_digest_is_that_of_the_bytes(tmp_path):
    file = tmp_path / "shop.yaml"
    file.write_text(FIVE_KEYS)
    loaded = load_stack(file)
    assert loaded.digest == hashlib.sha256(FIVE_KEYS.encode()).hexdigest()
    assert loaded.content == FIVE_KEYS.encode()


def test_a_stack_cannot_be_changed():
    with pytest.raises(Exception, match="frozen"):
        load(FIVE_KEYS).stack = "other"  # type: ignore[misc]


def test_words_that_yaml_takes_for_other_types_stay_words():
    stack = load(FIVE_KEYS.replace("near", "no").replace("orders:", "on:").replace("shop\n", "null-1\n", 1))
    assert set(stack.repositories) == {"no"}
    assert set(stack.resources) == {"on"}
    assert (
        load(file_with(resource='    checks: [{sql: select 1, equals: 010}, {sql: select 2, equals: "1:30"}]'))
        .resources["orders"]
        .checks[0]
        .equals
        == "010"
    )


def test_a_byte_order_mark_is_no_mistake():
    assert parse_stack(b"\xef\xbb\xbf" + FIVE_KEYS.encode(), "shop.yaml").stack.stack == "shop"


def test_a_file_that_is_not_there_says_how_to_make_one(tmp_path):
    with pytest.raises(Refusal) as raised:
        load_stack(tmp_path / "absent.yaml")
    assert raised.value.code == "stack_file_missing"
    assert "understudy init" in raised.value.hint
    with pytest.raises(Refusal, match="stack_file_unreadable"):
        load_stack(tmp_path)


@pytest.mark.parametrize(
    ("resource", "line", "column", "path", "value", "expected"),
    [
        ("    tier: critcal", 9, 11, "resources.orders.tier", "critcal", "did you mean critical?"),
        ("    repostories: 1", 9, 5, "resources.orders.repostories", "the key repostories", "did you mean repositories?"),
        ("    recover: {directory: /a, port: 0}", 9, 36, "resources.orders.recover.port", "0", "a port from 1 to 65535"),
        ("    repositories: [near, fra]", 9, 26, "resources.orders.repositories[1]", "fra", "one of the repositories near"),
        ("    repositories: [near, near]", 9, 26, "resources.orders.repositories[1]", "near", "each repository once"),
        ("    repositories: []", 9, 19, "resources.orders.repositories", "an empty list", "a list of one or more entries"),
        ("    repositories: near", 9, 19, "resources.orders.repositories", "near", "a list of one or more entries"),
        ("    wal: {ship_every: 10}", 9, 23, "resources.orders.wal.ship_every", "10", "did you mean 10s or 10m?"),
        ("    wal: {ship_every: 0s}", 9, 23, "resources.orders.wal.ship_every", "0s", "at least 1s"),
        ("    wal: {ship_every: 2h}", 9, 23, "resources.orders.wal.ship_every", "2h", "at most 1h, the rpo of tier standard"),
        ("    wal: {synchronous: no}", 9, 24, "resources.orders.wal.synchronous", "no", "true or false"),
        ("    wal: {spool_limit: 8G}", 9, 24, "resources.orders.wal.spool_limit", "8G", "did you mean 8GiB?"),
        ("    wal: {slot: my-slot}", 9, 17, "resources.orders.wal.slot", "my-slot", "a replication slot's name"),
        ("    wal: 5", 9, 10, "resources.orders.wal", "5", "keys and values: synchronous"),
        ("    wal:", 9, 5, "resources.orders.wal", "nothing", "a value; leave the key out"),
        ("    superuser: ~", 9, 5, "resources.orders.superuser", "~", "a value; leave the key out"),
        ("    backup: {full: 0 3 * *}", 9, 20, "resources.orders.backup.full", "0 3 * *", "a cron expression of five fields"),
        ("    backup: {full: 0 0 31 2 *}", 9, 20, "resources.orders.backup.full", "0 0 31 2 *", "that comes due"),
        ("    backup: {full: R 3 * * *}", 9, 20, "resources.orders.backup.full", "R 3 * * *", "a cron expression"),
        ("    backup: {full: '@daily'}", 9, 20, "resources.orders.backup.full", "@daily", "a cron expression"),
        ("    backup: {incremental: 0 3 * * *}", 9, 27, "resources.orders.backup.incremental", "0 3 * * *", "full beside it"),
        ("    backup: {timezone: Mars/Olympus}", 9, 24, "resources.orders.backup.timezone", "Mars/Olympus", "an IANA time zone"),
        ("    backup: {timezone: ../../etc}", 9, 24, "resources.orders.backup.timezone", "../../etc", "an IANA time zone"),
        ("    backup: {max_rate: 50MB}", 9, 24, "resources.orders.backup.max_rate", "50MB", "a rate such as 50MB/s"),
        ("    backup: {max_rate: 1B/s}", 9, 24, "resources.orders.backup.max_rate", "1B/s", "a rate from 32KiB/s to 1GiB/s"),
        ("    backup: {part_size: 1KiB}", 9, 25, "resources.orders.backup.part_size", "1KiB", "a size from 1MiB to 16GiB"),
        ("    backup: {compression_level: 99}", 9, 33, "resources.orders.backup.compression_level", "99", "a zstd level"),
        ("    recover: {port: 5432}", 9, 5, "resources.orders.recover.directory", "nothing", "directory: an absolute path"),
        ("    recover: {directory: data}", 9, 26, "resources.orders.recover.directory", "data", "an absolute path"),
        ("    recover: {directory: /}", 9, 26, "resources.orders.recover.directory", "/", "an absolute path"),
        ("    recover: {directory: /a/../b}", 9, 26, "resources.orders.recover.directory", "/a/../b", "without .."),
        ("    recover: {directory: /a, port: x}", 9, 36, "resources.orders.recover.port", "x", "a port from 1 to 65535"),
        ("    checks: [{sql: select 1}]", 9, 14, "resources.orders.checks[0]", "a check without a bound", "one of at_least"),
        ("    checks: [{sql: s, at_least: 2, at_most: 1}]", 9, 45, "resources.orders.checks[0].at_most", "1", "at least 2"),
        ("    checks: [{sql: s, at_least: nan}]", 9, 33, "resources.orders.checks[0].at_least", "nan", "a number"),
        ("    checks: [{sql: s, at_least: 2, equals: 1}]", 9, 44, "resources.orders.checks[0].equals", "1", "equals alone"),
        ("    checks: [{sql: '', equals: 1}]", 9, 20, "resources.orders.checks[0].sql", "an empty text", "one SQL query"),
        ("    tier: standard\n    tier: high", 10, 5, "resources.orders.tier", "tier", "each key once; it stands in line 9"),
        ("  bad_: {kind: postgres, url: env:X}", 9, 3, "resources.bad_", "bad_", "a name of at most 40 characters"),
        ("  users: {url: env:X}", 9, 3, "resources.users.kind", "nothing", "kind: a kind of resource that is known"),
        ("  users: {kind: mysql, url: env:X}", 9, 17, "resources.users.kind", "mysql", "a kind of resource that is known"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_resource_names_its_place_its_value_and_what_was_expected(resource, line, column, path, value, expected):
    found = only_mistake(file_with(resource=resource))
    assert (found.line, found.column, found.path, found.value) == (line, column, path, value)
    assert expected in found.expected


@pytest.mark.parametrize(
    ("resource", "path", "value", "expected"),
    [
        ("{kind: files, path: /srv/d, exclud: [a]}", "exclud", "the key exclud", "did you mean exclude?"),
        ("{kind: files}", "path", "nothing", "path: an absolute path"),
        ("{kind: file, path: /srv/d}", "kind", "file", "postgres, postgres-dump, files, bucket, command or redis"),
        ("{path: /srv/d}", "kind", "nothing", "postgres, postgres-dump, files, bucket, command or redis"),
        ("{kind: files, path: /srv/d, wal: {}}", "wal", "the key wal", "one of the keys kind, path, exclude"),
        ("{kind: files, path: /srv/d, exclude: ['']}", "exclude[0]", "an empty text", "a pattern as in .gitignore"),
        ("{kind: files, path: /srv/d, tier: hgh}", "tier", "hgh", "did you mean high?"),
        ("{kind: files, path: /srv/d, backup: {full: 0 3 * * *}}", "backup.full", "the key full", "one of the keys schedule"),
        ("{kind: files, path: /srv/d, wal: {ship_every: 1s}}", "wal", "the key wal", "one of the keys kind, path, exclude"),
        ("{kind: files, path: /srv/recovery}", "path", "/srv/recovery", "a directory apart from repositories.near.url"),
        ("{kind: files, path: /srv/d, drill: {directory: /srv/d/x}}", "drill.directory", "/srv/d/x", "drills must not touch"),
        ("{kind: bucket, url: s3://abc, drill: {url: s3://abc/x}}", "drill.url", "s3://abc/x", "drills must not touch"),
        ("{kind: files, path: /srv/d, priority: p1}", "priority", "p1", "P1, P2 or P3"),
        ("{kind: files, path: /srv/d, depends_on: [order]}", "depends_on[0]", "order", "did you mean orders?"),
        ("{kind: files, path: /srv/d, depends_on: [orders, orders]}", "depends_on[1]", "orders", "each resource once"),
        ("{kind: files, path: /srv/d, depends_on: [docs]}", "depends_on[0]", "docs", "docs depends on docs"),
        ("{kind: bucket, url: file:///srv/d}", "url", "file:///srv/d", "s3://bucket"),
        ("{kind: bucket, url: s3://abc, secret_key: env:X}", "secret_key", "secret_key", "access_key beside it"),
        ("{kind: command, dump: pg_dumpall}", "dump", "pg_dumpall", "a list of one or more entries, each one argument"),
        ("{kind: command, dump: []}", "dump", "an empty list", "a list of one or more entries"),
        ("{kind: command, dump: [a], environment: {1A: 'env:B'}}", "environment.1A", "1A", "environment variable"),
        ("{kind: command, dump: [a], environment: {A: b}}", "environment.A", "***", "a reference to a secret"),
        ("{kind: command, dump: [a], file: a/b}", "file", "a/b", "without a slash"),
        ("{kind: command, load: [a]}", "dump", "nothing", "dump: a list"),
        ("{kind: redis, url: 'redis://:word@host'}", "url", "***", "a URL without a password"),
        ("{kind: redis, url: host}", "url", "***", "redis://host:6379"),
        ("{kind: redis, url: 'rediss://host', key: /k}", "key", "key", "certificate beside it"),
        (
            "files of ours",
            "",
            "files of ours",
            "keys and values, kind (postgres, postgres-dump, files, bucket, command, redis) among them",
        ),
    ],
)
def test_a_mistake_in_a_directory_or_bucket_is_told_by_what_its_kind_knows(resource, path, value, expected):
    found = only_mistake(file_with(resource=f"  docs: {resource}"))
    assert (found.path, found.value) == (f"resources.docs.{path}".rstrip("."), value)
    assert expected in found.expected


def test_a_bucket_may_not_be_kept_in_itself():
    images = "  images: {kind: bucket, url: s3://shop/images}"
    found = only_mistake(file_with(resource=images, repository="url: s3://shop"))
    assert (found.path, found.value) == ("resources.images.url", "s3://shop/images")
    assert "a place apart from repositories.near.url" in found.expected
    elsewhere = "  images: {kind: bucket, url: s3://shop/images, endpoint: 'http://localhost:1'}"
    assert load(file_with(resource=elsewhere, repository="url: s3://shop")).resources["images"].url == "s3://shop/images"


def test_a_circle_of_dependencies_is_told_once_and_all_the_way_round():
    others = """\
    depends_on: [web]
  web: {kind: files, path: /srv/web, depends_on: [docs, logs]}
  docs: {kind: files, path: /srv/docs, depends_on: [orders]}
  logs: {kind: files, path: /srv/logs}"""
    found = only_mistake(file_with(resource=others))
    assert (found.path, found.value) == ("resources.orders.depends_on[0]", "web")
    assert "orders depends on web depends on docs depends on orders" in found.expected


def test_directories_that_are_only_read_may_lie_in_one_another():
    stack = load(file_with(resource="  web: {kind: files, path: /srv/web}\n  docs: {kind: files, path: /srv/web/docs}"))
    assert stack.resources["docs"].path == "/srv/web/docs"
    assert stack.repositories_of("docs") == ("near",)


@pytest.mark.parametrize(
    ("repository", "path", "value", "expected"),
    [
        ("url: /srv/x", "url", "/srv/x", "file:///absolute/path or s3://bucket/prefix"),
        ("url: file://host/x", "url", "file://host/x", "file:///absolute/path"),
        ("url: https://bucket/x", "url", "https://bucket/x", "file:///absolute/path"),
        ("url: s3://UPPER/x", "url", "s3://UPPER/x", "file:///absolute/path"),
        ("url: 's3://bucket/a b'", "url", "s3://bucket/a b", "file:///absolute/path"),
        ("url: file:///srv/x, region: eu", "region", "region", "only beside an s3:// url"),
        ("url: s3://bucket, access_key: env:A", "access_key", "access_key", "secret_key beside it"),
        ("url: s3://bucket, endpoint: localhost", "endpoint", "***", "https://host"),
        ("url: s3://bucket, endpoint: 'http://u:p4ss@h'", "endpoint", "***", "https://host"),
    ],
)
def test_a_mistake_in_a_repository_names_its_key(repository, path, value, expected):
    found = only_mistake(file_with(repository=repository))
    assert (found.path, found.value) == (f"repositories.near.{path}", value)
    assert expected in found.expected


def test_two_recoveries_may_not_land_on_one_another():
    found = mistakes_in(
        file_with(
            resource="""\
    recover: {directory: /var/lib/pg/orders}
  users:
    kind: postgres
    url: env:USERS_URL
    recover: {directory: /var/lib/pg/orders/}
  mails:
    kind: postgres
    url: env:MAILS_URL
    recover: {directory: /srv/recovery, port: 5433}"""
        )
    )
    assert [each.path for each in found] == [
        "resources.users.recover.port",
        "resources.users.recover.directory",
        "resources.mails.recover.directory",
    ]
    assert "another port than resources.orders.recover.port" in found[0].expected
    assert "apart from resources.orders.recover.directory" in found[1].expected
    assert "apart from repositories.near.url" in found[2].expected


def test_an_rpo_of_zero_needs_synchronous_streaming():
    zero = "tiers: {strict: {rto: 1h, rpo: 0s}}"
    found = only_mistake(file_with(resource="    tier: strict", top=zero))
    assert "synchronous: true" in found.expected
    assert load(file_with(resource="    tier: strict\n    wal: {synchronous: true}", top=zero))


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file():
    found = mistakes_in(
        """\
stack: Shop
repositories:
  near: {url: file:///srv/r}
encryption:
  recipients: [age1xyz]
resources:
  orders:
    kind: postgres
    url: hunter2
    tier: critcal
    wal: {ship_every: 10}
    recover: {port: 0}
"""
    )
    assert [each.line for each in found] == [1, 5, 9, 10, 11, 12, 12]
    assert [each.path for each in found][3] == "resources.orders.tier"


def test_a_name_that_is_declared_with_a_mistake_is_not_also_called_unknown():
    found = only_mistake(file_with(resource="    tier: gold", top="tiers: {gold: {rto: 15, rpo: 5m}}"))
    assert found.path == "tiers.gold.rto"


def test_an_empty_file_and_a_file_of_another_shape_say_so():
    assert only_mistake("").value == "an empty file"
    assert only_mistake("# nothing\n").value == "an empty file"
    assert only_mistake("- a\n- b\n").value == "a list"
    assert {each.path for each in mistakes_in("stack: shop\n")} == {"repositories", "encryption", "resources"}


@pytest.mark.parametrize(
    ("text", "line", "column", "value", "expected"),
    [
        ("stack: shop\n\trepositories: {}\n", 2, 1, "a tab", "YAML is not indented with tabs"),
        ("stack: shop: x\n", 1, 12, "a second colon", "stands in quotes"),
        ("stack: shop\nrepositories\n", 2, 1, "a line without a colon", "key: value"),
        ("stack: @shop\n", 1, 8, "a special character", "in quotes"),
        ("stack: shop\n---\nstack: b\n", 2, 1, "a second document (---)", "one document"),
        ("stack: 'shop\n", 1, 8, "a quote that is never closed", "a quote at the end"),
        ('stack: "\\UFFFFFFFF"\n', 1, 20, "a number out of range", "well-formed YAML"),
        ("stack: [" + "[" * 50, 1, 27, "text that is no YAML", "nested deeper than 20 levels"),
        ("stack: a\x07b\n", 1, 9, "the character U+0007", "text that can be printed"),
        (b"stack: shop\nname: \xff\n", 2, 7, "the byte 0xFF", "text in UTF-8"),
        (b"#" * (LARGEST_BYTES + 1), 1, 1, "a larger file", "at most 262144 bytes"),
    ],
)
def test_text_that_is_no_yaml_is_explained(text, line, column, value, expected):
    found = only_mistake(text)
    assert (found.line, found.value) == (line, value)
    assert expected in found.expected
    if "UFFF" not in str(text):
        assert found.column == column


@pytest.mark.parametrize(
    ("resource", "value"),
    [
        ("    superuser: &su postgres\n    drill: {directory: *su}", "an anchor (&…)"),
        ("    superuser: *su", "an alias (*…)"),
        ("    tier: !!str 1", "a tag (!…)"),
        ("    superuser: !secret x", "a tag (!…)"),
        ("    wal: {<<: {synchronous: true}}", "the key <<"),
        ("    superuser: {{ SUPERUSER }}", "something else than text before the colon"),
    ],
)
def test_yaml_that_hides_values_from_the_reader_is_refused(resource, value):
    assert value in [each.value for each in mistakes_in(file_with(resource=resource))]


def test_a_mistyped_recipient_is_seen_by_its_checksum():
    swapped = RECIPIENT[:-2] + RECIPIENT[-1] + RECIPIENT[-2]
    assert "checksum" in only_mistake(FIVE_KEYS.replace(RECIPIENT, swapped)).expected


def test_a_connection_string_without_a_password_may_stand_in_the_file():
    for url in ("postgresql://backup@db.example/postgres", "host=/var/run/postgresql user=postgres"):
        assert load(FIVE_KEYS.replace("env:ORDERS_URL", f'"{url}"')).resources["orders"].url == PlainText(url)


def test_two_pairs_of_names_never_share_a_slot():
    names = [("a", "b"), ("a-b", "c"), ("a", "b-c"), ("a_b", "c"), ("a", "b_c"), ("a" * 40, "b" * 40), ("a" * 40, "b" * 39)]
    slots = {slot_name(stack, resource) for stack, resource in names}
    assert len(slots) == len(names)
    assert all(len(slot) <= 63 and "-" not in slot for slot in slots)
    assert slot_name("shop", "orders") == "understudy_shop_orders"


@pytest.mark.parametrize("key", ["socket_directory", "log", "configuration"])
def test_what_outlives_a_recovery_does_not_lie_in_the_directory_that_it_sets_aside(key):
    recover = f"    recover: {{directory: /srv/orders, {key}: /srv/orders/own}}"
    assert "a place outside recover.directory (/srv/orders)" in only_mistake(file_with(resource=recover)).expected
    load(file_with(resource=recover.replace("/srv/orders/own", "/srv/orders-own")))


def test_a_password_in_the_address_of_a_recovered_server_is_refused():
    recover = "    recover: {directory: /srv/orders, url: 'postgresql://understudy:hunter2@localhost/postgres'}"
    mistake = only_mistake(file_with(resource=recover))
    assert mistake.path == "resources.orders.recover.url"
    assert "hunter2" not in str(mistake)


def test_a_lock_is_refused_where_the_store_cannot_lock():
    mistake = only_mistake(file_with(repository="url: file:///srv/recovery/shop, lock: {period: 30d}"))
    assert "a directory cannot lock" in mistake.expected
    assert mistake.line == 3
    short = only_mistake(file_with(repository="url: s3://bucket, lock: {period: 30m}"))
    assert "at least 1h" in short.expected
