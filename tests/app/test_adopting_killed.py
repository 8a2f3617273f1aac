"""``adopt``, killed around each of its writes."""

import itertools
import os
import shutil
import signal

import pytest

from tests.app.left import Left, in_a_child
from understudy.app.adopting import adopt
from understudy.app.installation import Installation


def killed_at(count, left, *, after):
    """``adopt``, killed before or after it gives a file its name for the so-and-so-many-th time; whether it got so far."""
    named = itertools.count()

    def or_die(give_name):
        def naming(*arguments, **options):
            number = next(named)
            if number == count and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            done = give_name(*arguments, **options)
            if number == count and after:
                os.kill(os.getpid(), signal.SIGKILL)
            return done

        return naming

    def play():
        os.link = or_die(os.link)
        adopt(left.wish())

    return os.WIFSIGNALED(in_a_child(play))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_killed_around_any_of_its_writes_it_ends_like_one_that_nobody_killed(desk, after):
    left = Left(desk)
    left.run()
    for count in itertools.count():
        was_killed = killed_at(count, left, after=after)
        found = adopt(left.wish())
        assert found.already or was_killed
        there = {str(path.relative_to(left.bare)) for path in left.bare.rglob("*") if path.is_file()}
        expected = {
            "understudy.yaml",
            *(f"state/{name}" for name in ("identity", "signing.key", "stack-file", "repositories/near")),
        }
        assert {name for name in there if not name.startswith("state/signing.") or name == "state/signing.key"} == expected
        Installation.open(left.bare / "understudy.yaml").require_believed_signer()
        assert adopt(left.wish()).already
        shutil.rmtree(left.bare)
        left.bare.mkdir()
        if not was_killed:
            assert count == 5, "claim, repository, identity, signing key, stack file"
            break
