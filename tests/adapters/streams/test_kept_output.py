"""What is kept of a command's output, against an oracle that sees all of it at once."""

from hypothesis import example, given
from hypothesis import strategies as st

from understudy.adapters.streams.kept_output import HEAD_BYTES, TAIL_BYTES, Keeper, Mask

SECRETS = st.lists(st.text("ab", min_size=1, max_size=5).map(str.encode), max_size=4)
PIECES = st.lists(st.text("abc", max_size=6).map(str.encode), max_size=12)


def masked_at_once(text, secrets):
    """Each byte that any occurrence covers, and one mask where occurrences overlap."""
    covered, begins = set(), set()
    for secret in secrets:
        for at in range(len(text) - len(secret) + 1):
            if text[at : at + len(secret)] == secret:
                begins.add(at)
                covered |= set(range(at, at + len(secret)))
    ends = {secret_at + len(secret) for secret in secrets for secret_at in begins if text[secret_at:].startswith(secret)}
    out = b""
    for at in range(len(text)):
        if at not in covered:
            out += text[at : at + 1]
        elif at - 1 not in covered or (at in begins and at in ends and not _spanned(at, text, secrets)):
            out += b"***"
    return out


def _spanned(at, text, secrets):
    """Whether one occurrence goes on over this border."""
    return any(
        text[start : start + len(secret)] == secret
        for secret in secrets
        for start in range(max(0, at - len(secret) + 1), at)
        if start + len(secret) > at
    )


@given(PIECES, SECRETS)
@example([b"a", b"b", b"a"], [b"aba"])
@example([b"ab", b"ba"], [b"ab", b"bba"])
def test_no_secret_comes_through_wherever_the_pieces_end_and_nothing_else_is_lost(pieces, secrets):
    mask = Mask(secrets)
    out = b"".join([*(mask.feed(piece) for piece in pieces), mask.end()])
    assert out == masked_at_once(b"".join(pieces), secrets)
    assert not any(secret in part for part in out.split(b"***") for secret in secrets)


def test_what_is_short_is_kept_whole_and_of_what_is_long_the_beginning_and_the_end():
    keeper = Keeper([])
    keeper.take(b"x" * (HEAD_BYTES + TAIL_BYTES))
    assert keeper.kept().head == "x" * (HEAD_BYTES + TAIL_BYTES)
    keeper = Keeper([b"hunter2"])
    keeper.take(b"<" + b"x" * HEAD_BYTES)
    for piece in (b"y" * 100_000, b"hun", b"ter2", b">"):
        keeper.take(piece)
    kept = keeper.kept()
    assert kept.head.startswith("<x") and len(kept.head) == HEAD_BYTES
    assert kept.tail.endswith("y***>") and len(kept.tail) == TAIL_BYTES
    assert kept.cut_bytes == 1 + HEAD_BYTES + 100_000 + len("***>") - HEAD_BYTES - TAIL_BYTES


def test_what_would_move_a_terminal_does_not_come_through():
    keeper = Keeper([])
    keeper.take("\x1b[31mrot\r\n\tä\xff".encode("latin-1") + "ä".encode())
    assert keeper.kept().head == " [31mrot \n\t��ä"
