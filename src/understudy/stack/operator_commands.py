"""Commands of the operator's, as every part of the stack file writes them down."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from pydantic import Field

from understudy.stack.fields import AbsolutePath, Argument, EnvironmentName, Flag, Interval, Line, SecretField
from understudy.stack.stack_part import StackPart


class OperatorCommandSettings(StackPart):
    """A command of yours: what is started, as whom, where, and with which environment."""

    title = "Commands of yours"

    run: tuple[Argument, ...] = Field(
        min_length=1,
        description="The command, as a list of its arguments: [systemctl, start, shop-web]. No shell is asked. It must end "
        "with 0.",
    )
    environment: Mapping[EnvironmentName, SecretField] = Field(
        default_factory=dict,
        description="Environment variables, each with a reference to its value. Of Understudy's own the command is given PATH, "
        "HOME, USER, LOGNAME, SHELL, TMPDIR, TZ and the locale alone.",
    )
    directory: AbsolutePath | None = Field(
        default=None, description="Where it is started. Default: /, and in a drill the drill's sandbox."
    )
    user: Line | None = Field(
        default=None,
        description="Operating-system user that it runs as, for when understudy runs as root. Default: the one that understudy "
        "runs "
        "as.",
    )
    time_limit: Interval = Field(
        default=timedelta(minutes=5),
        description="After so long a command that is still at work is ended with all that it started, and has failed.",
    )


class ActingCommand(OperatorCommandSettings):
    """A command that changes something."""

    title = "Commands that act"

    repeatable: Flag = Field(
        default=False,
        description="Running it twice is the same as once, also where the first time was cut off: one that Understudy was killed "
        "over is then begun anew by itself. Otherwise the run stops there, and a person looks.",
    )


class CheckCommand(OperatorCommandSettings):
    """A command that looks whether something is as it should be, and changes nothing. It is started again until it ends with
    0.
    """

    title = "Commands that check"

    time_limit: Interval = Field(
        default=timedelta(minutes=2), description="Within so long it must have ended with 0 once, or the check has failed."
    )
    try_limit: Interval = Field(
        default=timedelta(seconds=10), description="After so long one try is ended, and another one begun."
    )
    every: Interval = Field(default=timedelta(seconds=1), description="How long is waited between two tries.")
