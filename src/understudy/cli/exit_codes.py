"""What the process says when it ends. Documented in ``docs/cli.md``; scripts rely on it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import TYPE_CHECKING

from understudy.records.run import RunState
from understudy.vocabulary.errors import Cancelled, Refusal, UnderstudyError

if TYPE_CHECKING:
    from understudy.app.run_view import RunView


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    PREREQUISITE = 3
    BUSY = 4
    REFUSED = 5
    INTERRUPTED = 130

    @classmethod
    def of(cls, error: UnderstudyError) -> ExitCode:
        if isinstance(error, Cancelled):
            return cls.INTERRUPTED
        return CODES.get(error.code, cls.REFUSED if isinstance(error, Refusal) else cls.FAILED)

    @classmethod
    def of_run(cls, view: RunView) -> ExitCode:
        """Of a run that has ended. One that its first step refused is as one that was refused before it began."""
        code = {RunState.SUCCEEDED: cls.DONE, RunState.CANCELLED: cls.INTERRUPTED}.get(view.run.state, cls.FAILED)
        refusal = view.steps[0].error if view.touched_nothing and code is cls.FAILED else None
        return code if refusal is None else CODES.get(refusal.code, cls.REFUSED)


MEANINGS: Mapping[ExitCode, str] = {
    ExitCode.DONE: "Done, and every objective is known to be met.",
    ExitCode.FAILED: "It ran, but failed, or an objective was missed or is not known to be met.",
    ExitCode.USAGE: "The command line or the stack file is wrong.",
    ExitCode.PREREQUISITE: "Something that must be there first is not.",
    ExitCode.BUSY: "Somebody else holds what this needs.",
    ExitCode.REFUSED: "Refused for safety; nothing was touched.",
    ExitCode.INTERRUPTED: "Interrupted, or cancelled by a person.",
}

CODES: Mapping[str, ExitCode] = {
    "stack_file_invalid": ExitCode.USAGE,
    "stack_file_missing": ExitCode.USAGE,
    "stack_file_unreadable": ExitCode.USAGE,
    "option_malformed": ExitCode.USAGE,
    "no_such_resource": ExitCode.USAGE,
    "no_such_service": ExitCode.USAGE,
    "run_unknown": ExitCode.USAGE,
    "step_unknown": ExitCode.USAGE,
    "no_such_backup": ExitCode.USAGE,
    "no_such_repository": ExitCode.USAGE,
    "no_such_quarantine": ExitCode.USAGE,
    "no_such_tablespace": ExitCode.USAGE,
    "since_implausible": ExitCode.USAGE,
    "file_unwritable": ExitCode.USAGE,
    "finding_malformed": ExitCode.USAGE,
    "finding_unknown": ExitCode.USAGE,
    "kit_unreadable": ExitCode.USAGE,
    "kit_malformed": ExitCode.USAGE,
    "repository_unnamed": ExitCode.USAGE,
    "repository_misnamed": ExitCode.USAGE,
    "secret_missing": ExitCode.PREREQUISITE,
    "no_backup": ExitCode.PREREQUISITE,
    "no_sound_backup": ExitCode.PREREQUISITE,
    "target_in_no_backup": ExitCode.PREREQUISITE,
    "no_evidence": ExitCode.PREREQUISITE,
    "identity_missing": ExitCode.PREREQUISITE,
    "programs_missing": ExitCode.PREREQUISITE,
    "pdf_unavailable": ExitCode.PREREQUISITE,
    "programs_wrong_major": ExitCode.PREREQUISITE,
    "repository_missing": ExitCode.PREREQUISITE,
    "stack_file_not_kept": ExitCode.PREREQUISITE,
    "service_not_ready": ExitCode.PREREQUISITE,
    "drill_undeclared": ExitCode.PREREQUISITE,
    "recover_place_missing": ExitCode.PREREQUISITE,
    "busy": ExitCode.BUSY,
    "controller_busy": ExitCode.BUSY,
    "controller_superseded": ExitCode.BUSY,
    "spool_busy": ExitCode.BUSY,
    "slot_in_use": ExitCode.BUSY,
}
