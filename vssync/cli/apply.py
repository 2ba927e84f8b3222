"""`vssync apply`: shows the plan, asks, and applies it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli.help import option, verb
from vssync.cli.options import (
    BATCHES_IN_FLIGHT,
    LOCK_TIMEOUT,
    PLAN,
    SAVED_IN_PLANS,
    SERVICE,
    VIEW,
    CommandOptions,
    format_option,
    shared_options,
)
from vssync.cli.process import REFUSED, print_error
from vssync.cli.session import (
    apply_with_progress,
    approve,
    ask_with_progress,
    confirm,
    lock_or_wait,
    print_report,
    read_with_progress,
    session_with_progress,
)
from vssync.errors import VssyncError

if TYPE_CHECKING:
    from vssync.commands.session import Session
    from vssync.model.report import Report
    from vssync.planner.score import QuestionReport


@verb
@shared_options(
    *(*SERVICE, BATCHES_IN_FLIGHT, *PLAN, *VIEW, format_option("text", "json", "markdown", "html")),
    option("-y --yes", "Do not ask for confirmation.", is_flag=True),
    option("--fail-fast", "Start nothing new after the first failure.", is_flag=True),
)
@option("--test asks", "Ask the questions of the stores afterwards, as `vssync test` does.", is_flag=True)
@LOCK_TIMEOUT
@click.argument("path", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def apply(options: CommandOptions, *, path: Path | None, yes: bool, asks: bool, lock_timeout: float) -> int:
    """Make the service agree with the manifest.

    With PLAN, a file saved by `vssync plan --out`, apply exactly that plan, without asking.
    """
    from vssync.commands.plan import load_plan, make_plan_now, replan, settings_of_plan
    from vssync.commands.test import stores_with_questions

    settings = options.settings()
    saved = load_plan(path) if path else None
    if saved:
        _refuse_plan_options()
        settings = settings_of_plan(saved, settings)
    with session_with_progress(settings) as session, lock_or_wait(session, lock_timeout) as journal:
        asked = stores_with_questions(session.loaded.desired) if asks else ()
        plan = read_with_progress(
            session, lambda: replan(session, saved) if saved else make_plan_now(session, options.plan_options())
        )
        ask = partial(confirm, "Apply this plan?", "Apply with --yes, or a saved plan.")
        if not approve(plan, options, None if yes or saved else ask, settings):
            return REFUSED
        report = apply_with_progress(session, plan, journal, options, saved)
        return print_report(session, report, options, ask=partial(_ask_after, session, asked) if asks else None)


def _ask_after(session: Session, keys: tuple[str, ...], report: Report) -> QuestionReport | None:
    """The answers to the questions of those stores that were in the scope of an apply; None if none could be asked."""
    in_scope = {store.key for store in report.plan.stores}
    try:
        return ask_with_progress(session, [key for key in keys if key in in_scope], dict(report.store_ids))
    except VssyncError as error:
        print_error(f"vssync: the questions could not be asked: {error}")
        return None


def _refuse_plan_options() -> None:
    """A saved plan has options of its own: others beside it would be ignored, so they are refused."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in SAVED_IN_PLANS and source is click.core.ParameterSource.COMMANDLINE:
            raise click.UsageError(f"{parameter.opts[-1]}: a saved plan is applied with the options it was made with")
