import json
from pathlib import Path

import pytest

from understudy.stack.loader import load_stack
from understudy.stack.models import Stack
from understudy.stack.reference import EXAMPLE_FILE, PAGE_FILE, SCHEMA_FILE, page, schema
from understudy.stack.shape import expectation_of, models_of
from understudy.stack.stack_part import StackPart

DOCS = Path(__file__).parents[2] / "docs"
RENEW = "renew it with: python -m understudy.stack.reference docs"


def every_model(model: type[StackPart] = Stack) -> set[type[StackPart]]:
    below = (each for field in model.model_fields.values() for each in models_of(field.annotation))
    return {model}.union(*(every_model(each) for each in below))


def keys_said(value: object) -> set[tuple[str, str]]:
    """Every (model, key) that a loaded file gives a value of its own."""
    if isinstance(value, StackPart):
        said = {(type(value).__name__, key) for key in value.model_fields_set}
        return said.union(*(keys_said(getattr(value, key)) for key in value.model_fields_set))
    items = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else ()
    return set().union(*(keys_said(each) for each in items))


def test_the_page_in_the_manual_is_what_the_models_say():
    assert (DOCS / PAGE_FILE).read_text() == page((DOCS / EXAMPLE_FILE).read_text()), RENEW


def test_the_schema_beside_it_is_what_the_models_say():
    assert (DOCS / SCHEMA_FILE).read_text() == schema(), RENEW
    assert json.loads(schema())["required"] == ["stack", "repositories", "encryption", "resources"]


def test_a_page_that_is_behind_the_models_would_be_noticed():
    stale = (DOCS / PAGE_FILE).read_text().replace("| `ship_every` | duration | `10s` |", "| `ship_every` | duration | `30s` |")
    assert stale != page((DOCS / EXAMPLE_FILE).read_text())


def test_the_example_loads_and_leaves_out_only_what_excludes_what_it_says():
    stack = load_stack(DOCS / EXAMPLE_FILE).stack
    possible = {(model.__name__, key) for model in every_model() for key in model.model_fields}
    assert possible - keys_said(stack) == {("SqlCheck", "at_most"), ("EncryptionSettings", "public_keys")}


@pytest.mark.parametrize("model", sorted(every_model(), key=lambda model: model.__name__), ids=lambda model: model.__name__)
def test_every_key_has_a_description_and_says_what_it_expects(model):
    assert model.__doc__
    assert model.model_config["frozen"]
    assert model.model_config["extra"] == "forbid"
    for name, info in model.model_fields.items():
        assert (info.description or "").endswith("."), f"{model.__name__}.{name}"
        assert expectation_of(info.rebuild_annotation()).text != "another value", f"{model.__name__}.{name}"


def test_the_five_keys_in_the_introduction_load(tmp_path):
    text = (DOCS / PAGE_FILE).read_text().split("```yaml\n")[1].split("```")[0]
    file = tmp_path / "five.yaml"
    file.write_text(text)
    assert load_stack(file).stack.stack == "shop"
