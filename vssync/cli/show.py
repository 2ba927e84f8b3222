"""`vssync show`: a saved plan."""

from __future__ import annotations

from pathlib import Path

import click

from vssync.cli.help import verb
from vssync.cli.options import (
    VIEW_OPTIONS,
    CommandOptions,
    detailed_exitcode_option,
    plan_format_option,
    shared_options,
)
from vssync.cli.session import format_plan, plan_exit_code


@verb
@shared_options(VIEW_OPTIONS)
@plan_format_option
@detailed_exitcode_option
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path))
def show(options: CommandOptions, path: Path, output_format: str, detailed_exitcode: bool) -> int:
    """Show a plan that `vssync plan --out` saved."""
    from vssync.commands.plan import load_plan

    plan = load_plan(path)
    click.echo(format_plan(plan, output_format, options), color=True)
    return plan_exit_code(plan, detailed=detailed_exitcode)
