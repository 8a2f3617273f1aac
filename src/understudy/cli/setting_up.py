"""``init`` and ``check``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from understudy.cli.exit_codes import ExitCode
from understudy.cli.options import json_option, stack_options
from understudy.cli.printing import print_json

if TYPE_CHECKING:
    from understudy.app.preflight import Preflight
    from understudy.judge.preflight import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}


@click.command(
    epilog="""\b
Examples:
  understudy check                        validate understudy.yaml and try everything it needs
  understudy check -f /etc/understudy/shop.yaml --json
\b
Exit codes: 0 nothing is in the way (warnings are possible), 2 the stack file is wrong, 3 something is in the way.
"""
)
@stack_options
@json_option
def check(stack_file: Path, state: Path | None, as_json: bool) -> None:
    """Validate the stack file, then try everything that protection and recovery need. Nothing is made or changed."""
    from understudy.app.preflight import check as carry_out_check
    from understudy.stack.mistakes import StackFileInvalid

    try:
        preflight = carry_out_check(stack_file, state)
    except StackFileInvalid as invalid:
        if not as_json:
            raise
        print_json({"stack_file": str(stack_file), "passed": False, "mistakes": invalid.mistakes, "findings": []})
        sys.exit(ExitCode.USAGE)
    if as_json:
        print_json(
            {"stack_file": preflight.stack_file, "passed": preflight.passed, "mistakes": [], "findings": preflight.findings}
        )
    else:
        _print(preflight)
    sys.exit(ExitCode.DONE if preflight.passed else ExitCode.PREREQUISITE)


def _print(preflight: Preflight) -> None:
    """A block for each subject; what is wrong says beneath it what was expected and what to change."""
    width = max(len(finding.aspect) for finding in preflight.findings)
    subject = ""
    for finding in preflight.findings:
        if finding.subject != subject:
            click.echo(("\n" if subject else "") + click.style(finding.subject, bold=sys.stdout.isatty()))
            subject = finding.subject
        _print_finding(finding, width)
    click.echo(f"\n{_summary(preflight.findings)}")


def _print_finding(finding: Finding, width: int) -> None:
    grade = finding.grade.value
    mark = click.style(grade.ljust(8), fg=_COLOURS[grade]) if sys.stdout.isatty() else grade.ljust(8)
    click.echo(f"  {mark} {finding.aspect.ljust(width)}  {finding.found}")
    indent = " " * (width + 13)
    if finding.expected:
        click.echo(f"{indent}expected: {finding.expected}")
    if finding.change:
        click.echo(f"{indent}change:   {finding.change}")


def _summary(findings: Sequence[Finding]) -> str:
    counts = {grade: sum(finding.grade.value == grade for finding in findings) for grade in _COLOURS}
    text = f"ok: {counts['ok']}, warnings: {counts['warning']}, failures: {counts['failure']}"
    return text if counts["failure"] else f"{text}. Nothing is in the way."
