"""`vssync plan`: what apply would do."""

from __future__ import annotations

from pathlib import Path

import click

from vssync.cli import exit_codes
from vssync.cli.help import OUTPUT, option, verb
from vssync.cli.options import (
    PLAN_OPTIONS,
    SERVICE_OPTIONS,
    VIEW_OPTIONS,
    CommandOptions,
    detailed_exitcode_option,
    plan_format_option,
    shared_options,
)
from vssync.cli.session import (
    format_plan,
    load_with_progress,
    plan_exit_code,
    plan_with_progress,
    print_interrupted_runs,
    session_with_progress,
)


@verb
@shared_options(SERVICE_OPTIONS, PLAN_OPTIONS, VIEW_OPTIONS)
@plan_format_option
@detailed_exitcode_option
@option(
    "-o",
    "--out",
    heading=OUTPUT,
    type=click.Path(path_type=Path, dir_okay=False),
    help="Save the plan to this file, as JSON.",
)
@option("--offline", is_flag=True, help="Contact no service; show what the manifest declares.")
def plan(options: CommandOptions, output_format: str, detailed_exitcode: bool, out: Path | None, offline: bool) -> int:
    """Show what apply would do, without writing anything."""
    from vssync.commands.plan import make_plan_now, save_plan

    if offline:
        if out:
            raise click.UsageError("--offline makes no plan that could be saved: leave out --out")
        click.echo(_format_offline(options, output_format))
        return exit_codes.DONE
    with session_with_progress(options.settings()) as session:
        print_interrupted_runs(session)
        plan = plan_with_progress(session, lambda: make_plan_now(session, options.plan_options()))
    if out:
        save_plan(plan, out)
    click.echo(format_plan(plan, output_format, options), color=True)
    return plan_exit_code(plan, detailed=detailed_exitcode)


def _format_offline(options: CommandOptions, output_format: str) -> str:
    """What the manifest declares. Without a service there is nothing to compare it with."""
    from vssync.planner.assemble import digest_of
    from vssync.render.offline import offline_json, offline_markdown, offline_text

    show = {"text": offline_text, "markdown": offline_markdown, "json": offline_json}.get(output_format)
    if show is None:
        raise click.UsageError(
            f"--offline makes no plan whose changes could be counted: leave out --format {output_format}"
        )
    desired = load_with_progress(options.settings()).desired
    return show(desired, [digest_of(store) for store in desired.stores])
