import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.vocabulary.synchronous_names import SynchronousNames

OURS = "understudy_shop_orders"
NAMES = st.lists(st.from_regex(r"[a-z_][a-z0-9_]{0,8}|\*|Other One|a\"b", fullmatch=True), max_size=4)


def spelled(name):
    return name if name == "*" or name.isidentifier() else '"' + name.replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("setting", "named", "always"),
    [
        ("", False, False),
        (OURS, True, True),
        (OURS.upper(), True, True),
        (f'"{OURS}"', True, True),
        (f"other, {OURS}", True, False),
        (f"FIRST 1 ({OURS}, other)", True, True),
        (f"first 2 (other, {OURS})", True, True),
        (f"2 ({OURS}, other)", True, True),
        (f"ANY 1 ({OURS}, other)", True, False),
        (f"ANY 2 ({OURS}, other)", True, True),
        ("*", True, False),
        ("FIRST 1 (other)", False, False),
        (f"{OURS}_of_another", False, False),
    ],
)
def test_whom_commits_wait_for(setting, named, always):
    names = SynchronousNames.parse(setting)
    assert (names.names(OURS), names.always_waits_for(OURS)) == (named, always)


@given(st.sampled_from(["", "FIRST", "ANY", "any"]), st.integers(1, 4), NAMES)
def test_the_line_to_write_waits_for_ours_always_and_for_no_fewer_of_the_others(method, count, names):
    before = SynchronousNames.parse(f"{method} {count} ({', '.join(map(spelled, names))})".strip() if names else "")
    after = SynchronousNames.parse(before.with_first(OURS))
    assert after.always_waits_for(OURS)
    assert set(after.listed) == {OURS, *(name for name in names if name != "*")}
    others = [name for name in names if name != "*"]
    assert after.count - 1 == min(before.count, len(others))


@pytest.mark.parametrize("standby", ["first", "2nd", "With Blank"])
def test_names_that_need_quotes_get_them(standby):
    line = SynchronousNames.parse("").with_first(standby)
    assert f'"{standby}"' in line
    assert SynchronousNames.parse(line).always_waits_for(standby)
