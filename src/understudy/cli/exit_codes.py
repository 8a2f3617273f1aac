"""What the process says when it ends. Documented in ``docs/cli.md``; scripts rely on it."""

from __future__ import annotations

from enum import IntEnum

from understudy.vocabulary.errors import Cancelled, Refusal, UnderstudyError


class ExitCode(IntEnum):
    DONE = 0
    """Done, and every objective met."""
    FAILED = 1
    """Ran, but failed or missed an objective."""
    USAGE = 2
    """The command line or the stack file is wrong."""
    PREREQUISITE = 3
    """Something that must be there first is not."""
    BUSY = 4
    """Somebody else holds it."""
    REFUSED = 5
    """Refused for safety."""
    INTERRUPTED = 130

    @classmethod
    def of(cls, error: UnderstudyError) -> ExitCode:
        if isinstance(error, Cancelled):
            return cls.INTERRUPTED
        return _BY_CODE.get(error.code, cls.REFUSED if isinstance(error, Refusal) else cls.FAILED)


_BY_CODE = {
    "stack_file_invalid": ExitCode.USAGE,
    "stack_file_missing": ExitCode.USAGE,
    "stack_file_unreadable": ExitCode.USAGE,
    "option_malformed": ExitCode.USAGE,
    "no_such_resource": ExitCode.USAGE,
    "no_such_run": ExitCode.USAGE,
    "no_such_backup": ExitCode.USAGE,
    "no_such_repository": ExitCode.USAGE,
    "secret_missing": ExitCode.PREREQUISITE,
    "no_backup": ExitCode.PREREQUISITE,
    "identity_missing": ExitCode.PREREQUISITE,
    "programs_missing": ExitCode.PREREQUISITE,
    "programs_wrong_major": ExitCode.PREREQUISITE,
    "repository_missing": ExitCode.PREREQUISITE,
    "recover_place_missing": ExitCode.PREREQUISITE,
    "busy": ExitCode.BUSY,
    "controller_busy": ExitCode.BUSY,
    "repository_taken_over": ExitCode.BUSY,
    "spool_busy": ExitCode.BUSY,
}
