"""`vssync plan` and `vssync show`: what apply would do, now or as it was saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import (
    make_options,
    make_settings,
    manifest_options,
    plan_options,
    service_options,
    view_options,
)
from vssync.cli.session import (
    detailed_exitcode_option,
    load_with_progress,
    open_session_or_exit,
    plan_exit_code,
    plan_format_option,
    plan_with_progress,
    show_plan,
    tell_left_over,
)


@click.command()
@manifest_options
@service_options
@plan_options
@view_options
@plan_format_option
@detailed_exitcode_option
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan to this file, as JSON."
)
@click.option("--offline", is_flag=True, help="Contact no service; show what the manifest declares.")
def plan(form: str, detailed_exitcode: bool, out: Path | None, offline: bool, **given: Any) -> int:
    """Show what apply would do, without writing anything."""
    from vssync.commands.plan import make_plan_now, save_plan

    if offline:
        return _offline(form, out, given)
    options = make_options(given)
    with open_session_or_exit(make_settings(given)) as work:
        tell_left_over(work)
        planned = plan_with_progress(work, lambda: make_plan_now(work, options))
    if out:
        save_plan(planned, out)
    click.echo(show_plan(planned, form, given), color=True)
    return plan_exit_code(planned, detailed_exitcode)


def _offline(form: str, out: Path | None, given: dict[str, Any]) -> int:
    """Without a service there is nothing to compare with, so there is no plan to save."""
    from vssync.planner.assemble import digest_of
    from vssync.render.offline import offline_json, offline_markdown, offline_text

    if out:
        raise click.UsageError("--offline makes no plan that could be saved: leave out --out")
    desired = load_with_progress(make_settings(given)).desired
    show = {"text": offline_text, "markdown": offline_markdown, "json": offline_json}
    if form not in show:
        raise click.UsageError(f"--offline makes no plan whose changes could be counted: leave out --format {form}")
    click.echo(show[form](desired, [digest_of(store) for store in desired.stores]))
    return exit_codes.DONE


@click.command()
@view_options
@plan_format_option
@detailed_exitcode_option
@click.argument("saved", metavar="PLAN", type=click.Path(path_type=Path))
def show(saved: Path, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Show a plan that `vssync plan --out` saved."""
    from vssync.commands.plan import load_plan

    planned = load_plan(saved)
    click.echo(show_plan(planned, form, given), color=True)
    return plan_exit_code(planned, detailed_exitcode)
