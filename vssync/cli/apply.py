"""`vssync apply`: shows the plan, asks, carries it out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from vssync.cli.options import (
    make_options,
    make_settings,
    manifest_options,
    plan_options,
    service_options,
    view_options,
)
from vssync.cli.session import (
    ask_to_apply,
    carry_out,
    format_option,
    lock_or_wait,
    lock_timeout_option,
    open_session_or_exit,
    plan_with_progress,
)


@click.command()
@manifest_options
@service_options
@plan_options
@view_options
@format_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--fail-fast", is_flag=True, help="Start nothing new after the first failure.")
@lock_timeout_option
@click.argument("saved", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def apply(saved: Path | None, yes: bool, form: str, lock_timeout: float, **given: Any) -> int:
    """Make the service agree with the manifest.

    With PLAN, a file saved by `vssync plan --out`, carry out that plan and no other, without asking.
    """
    from vssync.commands.plan import load_plan, make_plan_now, replan, settings_of_plan
    from vssync.staleness import already_applied

    settings = make_settings(given)
    reviewed = load_plan(saved) if saved else None
    if reviewed:
        _nothing_else()
        settings = settings_of_plan(reviewed, settings)
    question = None if yes or reviewed else ask_to_apply
    with open_session_or_exit(settings) as work, lock_or_wait(work, lock_timeout) as record:
        planned = plan_with_progress(
            work, lambda: replan(work, reviewed) if reviewed else make_plan_now(work, make_options(given))
        )
        given["already"] = already_applied(reviewed, planned) if reviewed else ()
        return carry_out(work, planned, form, given, question=question, record=record)


def _nothing_else() -> None:
    """A saved plan was shaped by its own options: others beside it would be ignored, so they are refused."""
    context = click.get_current_context()
    looks = {
        "saved",
        "yes",
        "fail_fast",
        "lock_timeout",
        "form",
        "color",
        "full",
        "quiet",
        "workers",
        "limits",
        "verbose",
        "log_file",
        "auth",
        "profile",
        "allow_host",
        "allow_http",
    }
    for parameter in context.command.params:
        name = parameter.name or ""
        given = context.get_parameter_source(name)
        if given is click.core.ParameterSource.COMMANDLINE and name not in looks:
            raise click.UsageError(f"{parameter.opts[0]}: a saved plan is applied with the options it was made with")
