"""The error tree. Two leaves matter to the runner: what passes by itself, and what is final.

    UnderstudyError
    ├── TryAgain      passing: the same call may succeed after ``after``
    ├── GiveUp        final: nothing changes unless a person or another plan changes it
    │   └── Refusal   nothing was touched: a safety rule, a prerequisite or a busy resource said no
    └── Cancelled     a person asked for the end; nothing is wrong

Each error is read by someone at three in the morning: a stable code to search for, what was found, what was expected, and
a hint that can be followed as it stands.
"""

from __future__ import annotations

from datetime import timedelta


class UnderstudyError(Exception):
    """Root of the tree; never raised itself."""

    def __init__(self, code: str, *, found: str, expected: str = "", hint: str = "") -> None:
        super().__init__(code, found, expected, hint)
        self.code = code
        self.found = found
        self.expected = expected
        self.hint = hint
        self.proof: dict[str, str] = {}
        """What the error is about, as values for whoever decides over it; it goes into the evidence of the step that ends so."""

    def add_proof(self, **about: str) -> None:
        """Said where it is known: the store knows which object is missing, the restore of which backup it was."""
        self.proof.update(about)

    def __str__(self) -> str:
        text = f"{self.code}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.hint:
            text += f". Hint: {self.hint}"
        return text


class TryAgain(UnderstudyError):
    """A passing fault: a broken connection, a store that answered 503, a server that is still starting."""

    def __init__(
        self, code: str, *, found: str, expected: str = "", hint: str = "", after: timedelta = timedelta(seconds=1)
    ) -> None:
        super().__init__(code, found=found, expected=expected, hint=hint)
        self.after = after


class GiveUp(UnderstudyError):
    """A final fault. Retrying the same call cannot help."""


class Refusal(GiveUp):
    """Understudy declined to act, and nothing was changed. The hint says what would make it agree."""


class Cancelled(UnderstudyError):
    """A person asked for the end of the run; raised at the next point where stopping is safe."""

    def __init__(self, found: str = "the run was asked to stop") -> None:
        super().__init__("cancelled", found=found)
