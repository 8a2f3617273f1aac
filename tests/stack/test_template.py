import dataclasses
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.stack.files import RECIPIENT
from understudy.stack.loader import parse_stack
from understudy.stack.secrets import PlainText, parse_reference
from understudy.stack.template import FirstStack, first_stack_file

FOUND = FirstStack(
    stack="shop",
    resource="orders",
    url=parse_reference("env:ORDERS_URL"),
    major_version=18,
    repository_url="file:///srv/recovery/shop",
    recipients=(RECIPIENT,),
    identity=parse_reference("file:/etc/understudy/identity"),
    signing_key=parse_reference("file:/etc/understudy/signing-key"),
    signers=("6uR3fqGRz9kSPV9vPKWYc1IkN1mYyRP2wqyXq3RVPnE=",),
    state_directory="/var/lib/understudy/shop",
    recover_directory="/var/lib/postgresql/18/recovered",
    recover_port=5433,
    programs="/usr/lib/postgresql/18/bin",
    summarizes_wal=True,
)


def loaded(found: FirstStack):
    return parse_stack(first_stack_file(found).encode(), "shop.yaml").stack


def test_a_first_file_says_how_an_editor_knows_its_keys_and_names_no_schema_that_is_not_there():
    text = first_stack_file(FOUND)
    assert "understudy check --schema > understudy.schema.json" in text
    assert "#   # yaml-language-server: $schema=understudy.schema.json" in text.splitlines()
    assert not re.search(r"^# *yaml-language-server", text, re.MULTILINE), "an editor would look for it"


def test_a_first_file_loads_as_it_is_written():
    stack = loaded(FOUND)
    orders = stack.resources["orders"]
    assert orders.url == FOUND.url
    assert orders.recover is not None
    assert (orders.recover.directory, orders.recover.port) == (FOUND.recover_directory, 5433)
    assert stack.encryption.identity == FOUND.identity
    assert stack.encryption.signers == FOUND.signers
    assert stack.state.directory == FOUND.state_directory


@pytest.mark.parametrize(
    ("major", "summarizes", "full", "incremental"),
    [(18, True, "0 3 * * sun", "0 3 * * mon-sat"), (18, False, "0 3 * * *", None), (15, False, "0 3 * * *", None)],
)
def test_incrementals_are_scheduled_only_where_the_server_can_take_them(major, summarizes, full, incremental):
    backup = loaded(dataclasses.replace(FOUND, major_version=major, summarizes_wal=summarizes)).resources["orders"].backup
    assert (backup.full, backup.incremental) == (full, incremental)


def test_what_the_comments_offer_can_be_switched_on():
    text = first_stack_file(FOUND).replace("  # far:", "  far:").replace("# listen_", "listen_")
    text = (
        text.replace("    # heartbeat:", "    heartbeat:")
        .replace("    # checks:", "    checks:")
        .replace("    #   - {sql", "      - {sql")
        .replace("  # documents:", "  documents:")
        .replace("  # images:", "  images:")
    )
    stack = parse_stack(text.encode(), "shop.yaml").stack
    assert set(stack.repositories) == {"near", "far"}
    assert stack.resources["orders"].checks[0].at_least == 1
    assert stack.resources["orders"].heartbeat is not None
    assert [each.kind for each in stack.resources.values()] == ["postgres", "files", "bucket"]


@given(
    st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable()),
    st.text(min_size=1, max_size=12).filter(lambda name: name.isprintable() and name == name.strip() and ".." not in name),
)
def test_names_and_paths_of_any_spelling_come_back_as_they_were(name, directory):
    path = f"/media/{directory}".rstrip("/")  # never above another directory of the file
    found = dataclasses.replace(FOUND, tablespaces=((name, path),))
    orders = loaded(found).resources["orders"]
    assert orders.recover is not None
    assert dict(orders.recover.tablespaces) == {name: path}


def test_a_connection_string_without_a_password_is_quoted_where_it_must_be():
    url = PlainText("host='/var/run/my \"socket\"' user=postgres")
    assert loaded(dataclasses.replace(FOUND, url=url)).resources["orders"].url == url


def test_a_configuration_that_no_backup_holds_gets_a_line_for_its_copy():
    assert (
        parse_stack(first_stack_file(FOUND).encode(), "shop.yaml").stack.resources[FOUND.resource].recover.configuration is None
    )
    text = first_stack_file(dataclasses.replace(FOUND, configured_in="/etc/postgresql/15/main"))
    assert "No backup holds /etc/postgresql/15/main" in text
    assert (
        parse_stack(text.encode(), "shop.yaml").stack.resources[FOUND.resource].recover.configuration
        == f"/etc/understudy/{FOUND.resource}"
    )
