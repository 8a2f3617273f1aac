"""A stack file that is edited in places keeps all its other characters."""

import difflib

import pytest

from understudy.stack.document import read_document
from understudy.stack.edits import StackText

BLOCK = """\
# about the stack
stack: shop
repositories:
  near:
    url: file:///mnt/near        # the disk
    # what follows is of no account

encryption:
  recipients:
  - age1aaa     # mine
  identity: "file:/old"   # needed
  signers:
    - AAA=
    - BBB= # an old one

resources:
  orders: {kind: postgres, url: env:ORDERS_URL}
# the end"""
FLOW = """{"stack": "shop", "repositories": {"near": {"url": "file:///mnt/near"}}, "encryption": {"recipients": ["age1aaa",], \
"identity": "file:/old", "signers": ["AAA=", "BBB="]}, "resources": {"orders": {"kind": "postgres", "url": "env:ORDERS_URL"}}}"""


def tree(text):
    document = read_document(text, "stack.yaml")
    assert not document.mistakes, document.mistakes
    return document.tree


def changed_lines(before, after):
    return [line for line in difflib.ndiff(before.splitlines(), after.splitlines()) if line[0] in "+-"]


@pytest.mark.parametrize("text", [BLOCK, FLOW], ids=["in lines", "in braces"])
@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (lambda made: made.put(("encryption", "identity"), "file:/new place"), {"encryption": {"identity": "file:/new place"}}),
        (lambda made: made.put(("encryption", "signing_key"), "file:/key"), {"encryption": {"signing_key": "file:/key"}}),
        (lambda made: made.add(("encryption", "signers"), "CCC="), {"encryption": {"signers": ["AAA=", "BBB=", "CCC="]}}),
        (lambda made: made.add(("encryption", "recipients"), "age1bbb"), {"encryption": {"recipients": ["age1aaa", "age1bbb"]}}),
        (lambda made: made.put(("state", "directory"), "/state"), {"state": {"directory": "/state"}}),
        (lambda made: made.add(("encryption", "others"), "x"), {"encryption": {"others": ["x"]}}),
        (lambda made: made.put(("repositories", "near", "url"), "s3://b/p"), {"repositories": {"near": {"url": "s3://b/p"}}}),
        (
            lambda made: made.put_mapping(("repositories", "near"), {"url": "s3://b/p", "region": "eu"}),
            {"repositories": {"near": {"url": "s3://b/p", "region": "eu"}}},
        ),
        (lambda made: made.put(("resources", "orders", "tier"), "high"), {"resources": {"orders": {"tier": "high"}}}),
    ],
)
def test_one_place_is_another_one_and_all_else_is_as_it_was(text, edit, expected):
    made = StackText(text)
    edit(made)
    assert tree(made.text) == merged(tree(text), expected)
    if text is BLOCK:
        assert len(changed_lines(text, made.text)) <= 2
        assert made.text.count("#") == text.count("#"), "a comment was lost"


def merged(into, what):
    found = dict(into)
    for key, value in what.items():
        found[key] = merged(into.get(key, {}), value) if isinstance(value, dict) else value
    return found


def test_a_value_that_yaml_would_read_otherwise_is_quoted():
    made = StackText(BLOCK)
    made.put(("encryption", "identity"), "file:/a, b: [c] #d")
    assert tree(made.text)["encryption"]["identity"] == "file:/a, b: [c] #d"
