"""The rules of the house, each with a negative control: a snippet that breaks it and is found."""

from collections import defaultdict

import pytest

from tests.tidy import rules
from tests.tidy.rules import RULES
from tests.tidy.sources import PRODUCT, ROOT, Source, documents, python_sources, snippet

BROKEN = [
    (rules.asks_a_clock_of_its_own, snippet("import time\ntime.sleep(1)")),
    (rules.asks_a_clock_of_its_own, snippet("from time import sleep as nap\nnap(1)")),
    (rules.asks_a_clock_of_its_own, snippet("import time as t\nstarted = t.time()")),
    (rules.asks_a_clock_of_its_own, snippet("from datetime import UTC, datetime\nnow = datetime.now(UTC)")),
    (rules.asks_a_clock_of_its_own, snippet("import datetime\ndef f(now=datetime.datetime.now): ...")),
    (rules.asks_a_clock_of_its_own, snippet("import time\ntime.sleep(1)", "tests/plan/test_plan.py")),
    (rules.mocks, snippet("from unittest import mock")),
    (rules.mocks, snippet("from unittest.mock import patch", "tests/plan/test_plan.py")),
    (rules.mocks, snippet("def test_it(mocker): ...", "tests/plan/test_plan.py")),
    (rules.has_untyped_mappings, snippet("def f(x: dict[str, Any]): ...")),
    (rules.has_untyped_mappings, snippet("x: typing.Mapping[str, typing.Any] = {}")),
    (rules.has_untyped_mappings, snippet("def f() -> list[dict[str, Any] | None]: ...")),
    (rules.is_too_long, snippet("x = 1\n" * 401)),
    (rules.is_too_long, snippet("x = 1\n" * 401, "tests/plan/test_plan.py")),
    (rules.has_a_name_that_says_nothing, snippet("", f"{PRODUCT}/plan/utils.py")),
    (rules.has_a_name_that_says_nothing, snippet("", f"{PRODUCT}/common/plan.py")),
    (rules.has_a_name_that_says_nothing, snippet("", f"{PRODUCT}/plan/backup_manager.py")),
    (rules.has_a_name_that_says_nothing, snippet("class BackupManager: ...")),
    (rules.is_a_package_without_a_purpose, snippet('"""Plans."""', f"{PRODUCT}/plan/__init__.py")),
    (rules.is_a_package_without_a_purpose, snippet("", f"{PRODUCT}/adapters/nfs/__init__.py")),
    (rules.reveals_a_secret, snippet("print(secret.reveal())")),
    (rules.reveals_a_secret, snippet("take = secret.reveal")),
    (rules.keeps_a_secret_as_text, snippet("class Login:\n    password: str")),
    (rules.keeps_a_secret_as_text, snippet("def connect(user: str, secret_key: str | None = None): ...")),
    (rules.imports_what_another_room_owns, snippet("import yaml")),
    (rules.imports_what_another_room_owns, snippet("from yaml.nodes import Node", f"{PRODUCT}/cli/main.py")),
    (rules.imports_what_another_room_owns, snippet("def f():\n    import sqlite3", f"{PRODUCT}/stack/models.py")),
    (rules.imports_what_another_room_owns, snippet("from dbos import DBOS", f"{PRODUCT}/app/stores.py")),
    (rules.catches_everything, snippet("try: f()\nexcept Exception: pass")),
    (rules.catches_everything, snippet("try: f()\nexcept: pass")),
    (rules.catches_everything, snippet("try: f()\nexcept (OSError, BaseException) as error: print(error)")),
    (rules.leaves_out_what_an_error_says, snippet('raise GiveUp("a_code", found="this", hint="do so")')),
    (rules.leaves_out_what_an_error_says, snippet('return errors.TryAgain("a_code", found="this", expected="that", after=soon)')),
    (rules.leaves_out_what_an_error_says, snippet('raise Refusal("a_code", found="this", expected="", hint="do so")')),
    (rules.leaves_out_what_an_error_says, snippet('super().__init__("a_code", found="this", expected="that")')),
]

KEPT = [
    (rules.asks_a_clock_of_its_own, snippet("import time\ntime.sleep(1)", f"{PRODUCT}/adapters/clock/system.py")),
    (rules.asks_a_clock_of_its_own, snippet("stopped.wait(1); now = clock.now(); sleep = 1")),
    (rules.has_untyped_mappings, snippet("x: dict[str, Json]; y: Callable[[Any], str]; z: tuple[str, Any]")),
    (rules.is_too_long, snippet("x = 1\n" * 400)),
    (rules.has_a_name_that_says_nothing, snippet("class Commonwealth: ...", f"{PRODUCT}/plan/scores.py")),
    (
        rules.is_a_package_without_a_purpose,
        snippet('"""Plans.\n\nBelongs here: a.\nDoes not belong here: b."""', f"{PRODUCT}/x/__init__.py"),
    ),
    (rules.reveals_a_secret, snippet("secret.reveal()", f"{PRODUCT}/adapters/postgres/connection.py")),
    (rules.keeps_a_secret_as_text, snippet("def f(password: Secret, secret_keys: str, token_count: int): ...")),
    (rules.imports_what_another_room_owns, snippet("import yaml", f"{PRODUCT}/stack/document.py")),
    (rules.catches_everything, snippet("try: f()\nexcept Exception: pass", f"{PRODUCT}/runner/runner.py")),
    (rules.catches_everything, snippet("try: f()\nexcept BaseException:\n    clean()\n    raise")),
    (rules.catches_everything, snippet("try: f()\nexcept BaseException as error:\n    self.error = error")),
    (rules.leaves_out_what_an_error_says, snippet('raise GiveUp("a_code", found=seen, expected=wanted, hint=f"do {this}")')),
    (rules.leaves_out_what_an_error_says, snippet("raise Cancelled(); super().__init__(directory)")),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_no_file_of_the_project(rule):
    found = [f"{source.path}:{line}: {what}" for source in python_sources() for line, what in rule(source)]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(("rule", "source"), BROKEN, ids=lambda part: "" if isinstance(part, Source) else part.__name__)
def test_a_snippet_that_breaks_a_rule_is_found(rule, source):
    assert list(rule(source))


@pytest.mark.parametrize(("rule", "source"), KEPT, ids=lambda part: "" if isinstance(part, Source) else part.__name__)
def test_a_snippet_that_keeps_a_rule_is_left_alone(rule, source):
    assert not list(rule(source))


def test_every_rule_has_its_negative_control():
    assert {rule for rule, _ in BROKEN} == set(RULES)


def test_the_rules_saw_the_whole_product():
    seen = {source.room for source in python_sources()}
    assert {"vocabulary", "ports", "stack", "adapters/clock"} <= seen


def namesakes(sources) -> dict[str, list[str]]:
    places = defaultdict(list)
    for source in sources:
        for name, place in rules.classes(source):
            places[name].append(place)
    return {name: found for name, found in places.items() if len(found) > 1}


def test_no_two_classes_of_the_product_have_one_name():
    assert not namesakes(source for source in python_sources() if source.is_in(PRODUCT))


def test_two_classes_of_one_name_are_found():
    twice = [snippet("class Plan: ..."), snippet("def f():\n    class Plan: ...", f"{PRODUCT}/judge/snippet.py")]
    assert set(namesakes(twice)) == {"Plan"}


def test_every_file_that_may_reveal_a_secret_still_does():
    revealing = {
        str(source.path.relative_to(PRODUCT))
        for source in python_sources()
        if source.is_in(PRODUCT) and any(rules.lines_that_reveal(source))
    }
    assert set(rules.REVEALS) <= revealing


def test_no_document_names_a_developers_machine():
    found = [
        f"{path}:{line}: {what}" for path, text in documents() for line, what in rules.names_a_developers_machine(text, str(ROOT))
    ]
    assert not found, "\n".join(["", *found])


@pytest.mark.parametrize(
    "line", ["cd /home/ada/understudy", "see /Users/ada/x", "put it in /root/keys", "C:\\Users\\ada", "in /srv/dev/x/src"]
)
def test_a_developers_machine_is_recognised(line):
    assert list(rules.names_a_developers_machine(line, "/srv/dev/x"))
    assert not list(rules.names_a_developers_machine("/var/lib/understudy, /etc/understudy, ~/.local/state", "/srv/dev/x"))


def test_there_is_a_change_log_that_knows_this_version():
    import understudy

    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert understudy.__version__ in text or "Unreleased" in text
