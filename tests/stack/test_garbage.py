import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from tests.stack.files import FIVE_KEYS, RECIPIENT
from understudy.stack.loader import parse_stack
from understudy.stack.mistakes import StackFileInvalid

INDICATORS = [": ", "- ", "[", "]", "{", "}", ",", "&a ", "*a", "!!int ", "!x ", "|\n", ">\n", "'", '"', "#", "?", "<<", "@", "`"]
BREAKS = ["\n", "\n  ", "\n    ", "\t", "---", "...", "%YAML 1.1\n", "\u2028", "\x85", "\x00", "\ud7ff"]
ESCAPES = ["\\u", "\\UFFFFFFFF", "\\ud800", "1e999", "99999999999999999999", "null", "~"]
WORDS = ["stack", "repositories", "encryption", "resources", "orders", "kind", "postgres", "url", "env:X", "tiers", "wal"]
YAML_PIECES = st.lists(st.sampled_from(INDICATORS + BREAKS + ESCAPES + WORDS), max_size=60).map("".join)


@given(st.one_of(st.binary(max_size=200), YAML_PIECES.map(lambda text: text.encode()), st.text(max_size=80).map(str.encode)))
@example(b"? ? ?\n")
@example(b'"\\ud800": x\nstack: "\\ud800"')
@example(b"%YAML 1." + b"9" * 5000)
def test_whatever_the_bytes_are_nothing_but_the_refusal_comes(content):
    with pytest.raises(StackFileInvalid) as raised:
        parse_stack(content, "shop.yaml")
    assert raised.value.mistakes
    assert all(each.line >= 1 and each.column >= 1 and each.expected for each in raised.value.mistakes)
    str(raised.value).encode()


VALUES = st.recursive(
    st.sampled_from(
        ["x", "10s", "1h", "8GiB", "env:A", "file:/a", "postgres", "critical", "5432", "/srv", "0 3 * * *", "true", RECIPIENT]
    ),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.sampled_from(["near", "url", "rto", "kind", "x"]), children, max_size=4)
    ),
    max_leaves=6,
)
KEYS = st.sampled_from(["tier", "repositories", "wal", "backup", "recover", "drill", "checks", "heartbeat", "zzz"])


@given(
    st.dictionaries(KEYS, VALUES, max_size=6),
    st.dictionaries(st.sampled_from(["tiers", "objectives", "state", "repositories"]), VALUES),
)
def test_whatever_the_values_are_the_file_loads_or_is_refused(resource, top):
    base = yaml.safe_load(FIVE_KEYS)
    base["resources"]["orders"] |= resource
    base |= top
    try:
        parse_stack(yaml.safe_dump(base).encode(), "shop.yaml")
    except StackFileInvalid as refusal:
        assert refusal.mistakes
