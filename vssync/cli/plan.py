"""`vssync plan`: what apply would do."""

from __future__ import annotations

from pathlib import Path

import click

from vssync.cli.help import FILE, OUTPUT, option, verb
from vssync.cli.options import DETAILED_EXITCODE, PLAN, PLAN_FORMAT, SERVICE, VIEW, CommandOptions, shared_options
from vssync.cli.process import DONE
from vssync.cli.session import load_with_progress, print_plan, read_with_progress, session_with_progress
from vssync.text import escape_control


@verb
@shared_options(*SERVICE, *PLAN, *VIEW, PLAN_FORMAT, DETAILED_EXITCODE)
@option("-o --out", "Save the plan to this file, as JSON.", heading=OUTPUT, type=FILE)
@option("--offline", "Contact no service; show what the manifest declares.", is_flag=True)
def plan(options: CommandOptions, output_format: str, detailed_exitcode: bool, out: Path | None, offline: bool) -> int:
    """Show what apply would do, without writing anything."""
    from vssync.commands.apply import describe_interrupted_runs
    from vssync.commands.plan import make_plan_now, save_plan

    if offline:
        if out:
            raise click.UsageError("--offline makes no plan that could be saved: leave out --out")
        click.echo(_format_offline(options, output_format))
        return DONE
    with session_with_progress(options.settings()) as session:
        for line in describe_interrupted_runs(session).splitlines():  # no part of the plan: only this machine knows it
            click.echo(escape_control(line), err=True)
        plan = read_with_progress(session, lambda: make_plan_now(session, options.plan_options()))
    if out:
        save_plan(plan, out)
    return print_plan(plan, output_format, options, detailed=detailed_exitcode)


def _format_offline(options: CommandOptions, output_format: str) -> str:
    """What the manifest declares. Without a service there is nothing to compare it with."""
    from vssync.planner.classify import digest_files
    from vssync.planner.content_digest import content_digest
    from vssync.render.offline import offline_json, offline_markdown, offline_text

    if output_format == "gitlab":
        reason = "makes no plan whose changes could be counted"
        raise click.UsageError(f"--offline {reason}: leave out --format {output_format}")
    desired = load_with_progress(options.settings()).desired
    digests = [content_digest(digest_files(store)) for store in desired.stores]
    if output_format == "json":
        return offline_json(desired, digests)
    return (offline_markdown if output_format == "markdown" else offline_text)(desired, digests, options.view())
