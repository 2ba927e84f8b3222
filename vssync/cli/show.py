"""`vssync show`: a saved plan."""

from __future__ import annotations

from pathlib import Path

import click

from vssync.cli.help import verb
from vssync.cli.options import DETAILED_EXITCODE, PLAN_FORMAT, VIEW, CommandOptions, shared_options
from vssync.cli.session import print_plan


@verb
@shared_options(*VIEW, PLAN_FORMAT, DETAILED_EXITCODE)
@click.argument("path", metavar="PLAN", type=click.Path(path_type=Path))
def show(options: CommandOptions, path: Path, detailed_exitcode: bool) -> int:
    """Show a plan that `vssync plan --out` saved."""
    from vssync.commands.plan import load_plan

    return print_plan(load_plan(path), options, detailed=detailed_exitcode)
