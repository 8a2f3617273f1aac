"""The command group. Commands are named by where they live and imported when asked for, so that ``--help`` is quick."""

from __future__ import annotations

import gc
import importlib
import sys

import click

from understudy import __version__
from understudy.cli.exit_codes import ExitCode
from understudy.vocabulary.errors import UnderstudyError

_COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("understudy.cli.setting_up:init", "Look at a database; write a commented stack file and the recovery kit."),
    "adopt": ("understudy.cli.adopting:adopt", "On a machine that has nothing: a repository and the recovery kit are enough."),
    "check": ("understudy.cli.setting_up:check", "Validate the stack file and try everything that protection needs."),
    "serve": ("understudy.cli.serving:serve", "Keep WAL streaming and run the schedules, until stopped."),
    "status": ("understudy.cli.looking:status", "Every resource: objective, exposure now, newest backup, last proof."),
    "backup": ("understudy.cli.backing_up:backup", "Take a backup now, of any resource."),
    "backups": ("understudy.cli.backing_up:backups", "List what the repositories hold."),
    "verify": ("understudy.cli.backing_up:verify", "Read backups, WAL and snapshots back and check every byte."),
    "expire": ("understudy.cli.expiring:expire", "Remove the backups, the WAL and the snapshots that the rules let go."),
    "restore": ("understudy.cli.restoring:restore", "Restore beside the original, or load a dump back."),
    "warm-copy": ("understudy.cli.warm_copies:warm_copy", "Seed or show the copies that recoveries go on from."),
    "drill": ("understudy.cli.recovering:drill", "Rehearse a recovery in a sandbox and measure it."),
    "drills": ("understudy.cli.looking_at_drills:drills", "The calendar of drills: what is due, what passed, what is overdue."),
    "forecast": ("understudy.cli.forecasting:forecast", "When the recovery time will pass its objective, as the data grow."),
    "recover": ("understudy.cli.recovering:recover", "Carry out a recovery for real, on this host."),
    "quarantine": ("understudy.cli.quarantining:quarantine", "Show what is not to be believed, or lift that."),
    "diff": ("understudy.cli.comparing:diff", "List what differs between two states of a resource."),
    "runs": ("understudy.cli.running:runs", "List runs, newest first."),
    "show": ("understudy.cli.running:show", "Show one run, step by step."),
    "approve": ("understudy.cli.running:approve", "Agree to a step that waits for a person."),
    "cancel": ("understudy.cli.running:cancel", "Ask a run to stop; it cleans up after itself."),
    "resume": ("understudy.cli.running:resume", "Go on with a run that was interrupted."),
    "evidence": ("understudy.cli.evidence:evidence", "Verify or export the chain of evidence; print a run as a page."),
    "findings": ("understudy.cli.findings:findings", "What was found wanting: owner, due date, retest."),
    "readiness": ("understudy.cli.readiness:readiness", "A checklist whose ticks are measurements."),
    "document": ("understudy.cli.documents:document", "Write the disaster recovery plan, from stack file and evidence."),
    "demo": ("understudy.demo.command:demo", "A real little stack, destroyed and recovered before your eyes."),
}


_GARBAGE_THRESHOLD = 100_000
"""Allocations between two looks for cyclic garbage. At the default of 700 a command spends a tenth of its start on looking."""


class CommandsByName(click.Group):
    """Looks commands up in ``_COMMANDS``; the one-line helps there spare importing all of them to print a list."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        entry = _COMMANDS.get(cmd_name)
        if entry is None:
            return None
        module, _, attribute = entry[0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        return command if isinstance(command, click.Command) else None

    def resolve_command(self, ctx: click.Context, args: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], _COMMANDS, n=1)
            ctx.fail(f"No such command {args[0]!r}{f', did you mean {close[0]}?' if close else '.'}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in _COMMANDS.items()])


@click.group(
    cls=CommandsByName,
    epilog="""\b
Examples:
  understudy demo                        see it work, on a database of its own
  understudy init --url env:ORDERS_URL   begin with your own database
  understudy check                       find out what is missing
  understudy drill database_corruption   rehearse the worst day

Exit codes: 0 done, 1 failed or an objective was missed, 2 usage or stack file, 3 a prerequisite is missing, 4 somebody else
holds what it needs, 5 refused for safety, 130 interrupted.

understudy COMMAND --help explains each with examples.
""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, prog_name="understudy")
def cli() -> None:
    """Recover PostgreSQL for real, and prove it: backups that are restored, drills that run the code of the disaster.

    Directories, buckets, what commands write, and Redis, beside it are kept, too.
    """
    from understudy.cli.printing import is_plain

    if is_plain():
        click.get_current_context().color = False


def main() -> None:
    """The program. Every foreseen failure ends in a message that can be acted on, and in a documented exit code."""
    gc.set_threshold(_GARBAGE_THRESHOLD)
    from understudy.cli.printing import print_error

    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as leave:
        sys.exit(leave.exit_code)
    except click.Abort:
        sys.exit(ExitCode.INTERRUPTED)
    except click.ClickException as error:
        error.show()
        sys.exit(ExitCode.USAGE)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
    except UnderstudyError as error:
        print_error(error)
        sys.exit(ExitCode.of(error))
    except Exception as error:
        from understudy.cli.faults import foreseen

        fault = foreseen(error)
        if fault is None:
            raise
        print_error(fault)
        sys.exit(ExitCode.of(fault))
    finally:
        # The interpreter's last look for cycles took a fifth of a second, and all that it frees goes with the process anyway.
        gc.freeze()


if __name__ == "__main__":
    main()
