"""Leaving out what patterns name, as Git does."""

from __future__ import annotations

from collections.abc import Sequence

from pathspec import GitIgnoreSpec

from understudy.vocabulary.errors import Refusal


class Exclusion:
    """Patterns as of ``.gitignore``, from the root on: ``*.tmp`` anywhere, ``/cache/`` only there, ``!keep.tmp`` takes back."""

    def __init__(self, patterns: Sequence[str]) -> None:
        """
        Raises:
            Refusal: ``exclude_invalid``.
        """
        try:
            self._patterns = GitIgnoreSpec.from_lines(patterns) if patterns else None
        except ValueError as error:
            raise Refusal(
                "exclude_invalid",
                found=f"exclude: {error}",
                expected="patterns as they stand in a .gitignore: *.tmp, /cache/, !keep.tmp",
                hint="correct the pattern in the stack file; git check-ignore -v PATH tells what a pattern does",
            ) from error

    def leaves_out(self, key: str, *, directory: bool = False) -> bool:
        return self._patterns is not None and self._patterns.match_file(f"{key}/" if directory else key)
