"""`vssync plan`: what apply would do."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import click

from vssync.cli.help import FILE, OUTPUT, option, verb
from vssync.cli.options import DETAILED_EXITCODE, PLAN, PLAN_FORMAT, SERVICE, VIEW, CommandOptions, shared_options
from vssync.cli.process import CHANGES, DONE, REFUSED
from vssync.cli.session import (
    each_environment,
    format_comparison,
    load_with_progress,
    print_plan,
    read_with_progress,
    session_with_progress,
)
from vssync.text import escape_control


def _parse_revision(_context: click.Context, _option: click.Option, name: str | None) -> str:
    """A revision; empty without the option. An empty one comes from an empty variable, and means no other plan."""
    if name == "":
        raise click.BadParameter("names no revision; is a variable empty?")
    return name or ""


_revision = partial(option, metavar="REV", callback=_parse_revision)
_AGAINST_HELP = "Compare with the manifest and its files as of this git revision; no service is asked."


@verb
@shared_options(*SERVICE, *PLAN, *VIEW, PLAN_FORMAT, DETAILED_EXITCODE)
@option("-o --out", "Save the plan to this file, as JSON.", heading=OUTPUT, type=FILE)
@_revision("--against", _AGAINST_HELP)
@_revision("--at", "With --against: this revision in place of the work tree.")
def plan(options: CommandOptions, *, detailed_exitcode: bool, out: Path | None, against: str, at: str) -> int:
    """Show what apply would do, without writing anything.

    `-e '*'` shows each declared environment; the exit code is the worst.
    """
    from vssync.manifest.environments import is_pattern

    if against and out:
        raise click.UsageError("--against makes no plan that can be applied: leave out --out")
    if at and not against:
        raise click.UsageError("--at: needs --against REV")
    if out and is_pattern(options.env or ""):
        raise click.UsageError("--out: saves the plan of one environment; name it by --env")

    def show(options: CommandOptions) -> int:
        if against:
            return _compare(options, against, at, detailed=detailed_exitcode)
        return _plan(options, out, detailed=detailed_exitcode)

    return each_environment(options, show)


def _plan(options: CommandOptions, out: Path | None, *, detailed: bool) -> int:
    from vssync.commands.plan import describe_interrupted_runs, make_plan_now, save_plan

    with session_with_progress(options.settings()) as session:
        for line in describe_interrupted_runs(session).splitlines():  # no part of the plan: only this machine knows it
            click.echo(escape_control(line), err=True)
        plan = read_with_progress(session, lambda: make_plan_now(session, options.plan_options()))
    if out:
        save_plan(plan, out)
    return print_plan(plan, options, detailed=detailed, settings=session.settings)


def _compare(options: CommandOptions, against: str, at: str, *, detailed: bool) -> int:
    """Prints what a change means by the manifest and its files alone; the exit codes are those of a plan."""
    from vssync.commands.against import compare_with_revision

    settings, plan_options = options.settings(), options.plan_options()
    comparison = compare_with_revision(settings, plan_options, against, at, load=load_with_progress)
    click.echo(format_comparison(comparison, options), color=True)
    if comparison.plan.refusals:
        return REFUSED
    return CHANGES if detailed and not comparison.same else DONE
