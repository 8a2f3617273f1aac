"""What editors complete, explain and underline a stack file by."""

import json
import re
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.stack.editor import underlined
from tests.stack.files import FIVE_KEYS, RECIPIENT, file_with
from tests.stack.test_template import FOUND
from understudy.demo.stack_file import stack_text
from understudy.stack import units, values
from understudy.stack.editor_schema import schema
from understudy.stack.expectation import Unfit
from understudy.stack.loader import parse_stack
from understudy.stack.template import first_stack_file

ROOT = Path(__file__).parents[2]
KEY = "6uR3fqGRz9kSPV9vPKWYc1IkN1mYyRP2wqyXq3RVPnE="


def blocks(page):
    """The pieces of stack files that a page shows."""
    return re.findall(r"^```yaml\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def whole(piece):
    """A piece of a page as part of a file that loads."""
    if "stack:" in piece:
        return piece
    if piece.startswith("    recover:"):
        return file_with(resource=piece)
    if piece.startswith("resources:"):
        return FIVE_KEYS.split("resources:")[0] + piece
    return FIVE_KEYS + piece


PIECES = [(page, piece) for page in ("README.md", "docs/files-and-buckets.md", "docs/stack-file.md") for piece in blocks(page)]


def test_it_is_a_json_schema_of_the_draft_that_it_names():
    made = json.loads(schema())
    assert made["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(made)


@pytest.mark.parametrize("piece", [piece for _, piece in PIECES], ids=[page for page, _ in PIECES])
def test_what_the_pages_show_loads_and_is_not_underlined(piece):
    parse_stack(whole(piece).encode(), "shop.yaml")
    assert underlined(whole(piece)) == []


def test_the_example_and_what_init_and_the_demo_write_are_not_underlined():
    assert underlined((ROOT / "docs/stack-file.example.yaml").read_text()) == []
    assert underlined(first_stack_file(FOUND)) == []
    place, programs = SimpleNamespace(socket_directory="/run/x"), SimpleNamespace(directory="/usr/lib/postgresql/18/bin")
    database = SimpleNamespace(port=5432, data="/srv/data", place=place, programs=programs)
    store = SimpleNamespace(bucket="demo", endpoint="http://127.0.0.1:9000")
    keys = SimpleNamespace(recipients=(RECIPIENT,), identity_file="/home/k", signing_key_file="/home/s", signer=KEY)
    assert underlined(stack_text(Path("/home"), database, store, store, keys, synchronous=True)) == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (file_with(resource="    tire: high"), "$.resources.orders: oneOf"),
        (file_with(resource="    tier:"), "$.resources.orders: oneOf"),
        (file_with(top="tiers: {gold: {rto: 15, rpo: 1m}}"), "$.tiers.gold.rto: type"),
        (file_with(top="tiers: {gold: {rto: 1m30, rpo: 1m}}"), "$.tiers.gold.rto: pattern"),
        (file_with(top="tiers: {gold: {rto: 1h}}"), "$.tiers.gold: required"),
        (file_with(top="tiers: {Gold: {rto: 1h, rpo: 1m}}"), "$.tiers: pattern"),
        (file_with(top="state: {directory: state}"), "$.state.directory: pattern"),
        (file_with(top="nonsense: 1"), "$: additionalProperties"),
        (file_with(repository="url: ftp://host/x"), "$.repositories.near.url: pattern"),
        (file_with(repository="url: s3://bucket, lock: {period: 30d, mode: none}"), "$.repositories.near.lock.mode: pattern"),
        (file_with(repository="url: s3://bucket, access_key: AKIAIOSFODNN7"), "$.repositories.near.access_key: pattern"),
        (FIVE_KEYS.replace("postgres", "postgers"), "$.resources.orders: oneOf"),
        (FIVE_KEYS.replace(RECIPIENT, RECIPIENT[:-1]), "$.encryption.recipients[0]: pattern"),
        (FIVE_KEYS.replace("stack: shop\n", ""), "$: required"),
    ],
)
def test_a_mistake_is_underlined_where_it_stands(text, where):
    assert underlined(text) == [where]
    with pytest.raises(Exception, match="stack_file_invalid"):
        parse_stack(text.encode(), "shop.yaml")


def test_a_number_and_a_truth_may_stand_in_quotes():
    quoted = file_with(resource='    wal: {synchronous: "true"}\n    recover: {directory: /srv/x, port: "5433"}')
    parse_stack(quoted.encode(), "shop.yaml")
    assert underlined(quoted) == []
    assert underlined(quoted.replace("5433", "many")) == underlined(quoted.replace('"5433"', "70000")) != []
    assert underlined(quoted.replace('"true"', "yes")) != []


def test_every_key_says_what_it_means_and_a_text_what_is_expected():
    made = json.loads(schema())
    for model in (made, *made["$defs"].values()):
        for name, told in model["properties"].items():
            said = told.get("description") or made["$defs"][told["$ref"].rpartition("/")[2]]["description"]
            assert said.endswith("."), name
    jitter = made["$defs"]["BackupSettings"]["properties"]["jitter"]
    assert (jitter["default"], jitter["patternErrorMessage"]) == ("0s", f"expected {units.DURATION_TEXT}")
    assert "null" not in schema() and "PT0S" not in schema()


TEXTS = {
    values.NAME_TEXT: (values.parse_name, "a-b_9", "9a"),
    values.ABSOLUTE_PATH_TEXT: (values.parse_absolute_path, "/srv/a..b/..c/", "/srv/../x"),
    values.CRON_TEXT: (values.parse_cron, "*/15  0-6,12 * jan-mar mon#2", "0 3 * *"),
    values.EVERY_TEXT: (values.parse_every, "quarterly", "yearly"),
    values.WINDOW_TEXT: (values.parse_window, "22:00-24:00", "1:00-05:00"),
    values.RECIPIENT_TEXT: (values.parse_recipient, RECIPIENT, RECIPIENT[:-1]),
    values.SEALING_TEXT: (values.parse_sealing, "gpg", "pgp"),
    values.LOCK_MODE_TEXT: (values.parse_lock_mode, "compliance", "Compliance"),
    values.SIGNER_TEXT: (values.parse_signer, KEY, KEY[1:]),
    values.REPOSITORY_URL_TEXT: (values.parse_repository_url, "s3://my.bucket/a/b=c/", "s3://B/x"),
    values.BUCKET_URL_TEXT: (values.parse_bucket_url, "s3://bucket", "file:///srv"),
    values.EXCLUDE_TEXT: (values.parse_exclude, "!/a b/", "#no"),
    values.ENDPOINT_TEXT: (values.parse_endpoint, "http://[::1]:9000/", "ftp://host"),
    values.SLOT_TEXT: (values.parse_slot, "9_a", "a-b"),
    values.LISTEN_TEXT: (values.parse_listen_addresses, "localhost, ::1,*", "a b"),
    values.REGION_TEXT: (values.parse_region, "eu-central-1", "EU"),
    values.SQL_NAME_TEXT: (values.parse_sql_name, "Ü b", "x" * 64),
    values.SQL_TEXT: (values.parse_sql, "select\n1", " \n"),
    values.LINE_TEXT: (values.parse_line, " a ", "  "),
    values.CONNECTION_TEXT: (values.parse_connection, "host=/run user=x", "orders"),
    values.REFERENCE_TEXT: (values.parse_reference, "file:/run/secrets/a b", "env:9"),
    units.DURATION_TEXT: (units.parse_duration, "1h30m", "30m1h"),
    units.SIZE_TEXT: (units.parse_size, "8GiB", "8gib"),
    units.RATE_TEXT: (units.parse_rate, "50MB/s", "50MB"),
}


@pytest.mark.parametrize("expected", values.PATTERNS)
def test_a_pattern_takes_what_is_read_and_refuses_what_is_not(expected):
    parse, taken, refused = TEXTS[expected]
    pattern = values.PATTERNS[expected]
    parse(taken)
    assert re.search(pattern, taken)
    assert not re.search(pattern, refused)
    with pytest.raises(Unfit):
        parse(refused)
    assert not re.search(r"\(\?P|\(\?<|\\Z|\\A|\+\+|\*\+", pattern), "editors read ECMA 262"


PARSED = [(each, TEXTS[each][0]) for each in TEXTS if each not in (values.RECIPIENT_TEXT, values.CONNECTION_TEXT)]


SCRAPS = st.text("ab01.-_/:*,# =GiBms3'!env", max_size=12) | st.from_regex(r"\A[\w/:.-]{1,20}\Z")


@given(st.sampled_from(PARSED), SCRAPS)
def test_no_pattern_refuses_what_is_read(form, text):
    expected, parse = form
    try:
        parse(text)
    except Unfit:
        return
    assert re.search(values.PATTERNS[expected], text)


@given(st.timedeltas(timedelta(0), timedelta(days=36_000)), st.integers(0, 2**60))
def test_no_pattern_refuses_what_is_written(duration, size_bytes):
    assert re.search(units.DURATION_PATTERN, units.format_duration(duration))
    assert re.search(units.SIZE_PATTERN, units.format_size(size_bytes))
    assert re.search(units.RATE_PATTERN, units.format_rate(size_bytes))
