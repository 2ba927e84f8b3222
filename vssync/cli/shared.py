"""What several commands do: load and connect, show a plan, ask a person, carry a plan out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import endings, flags

if TYPE_CHECKING:
    from vssync.plan import Plan
    from vssync.settings import Settings
    from vssync.sources import Loaded
    from vssync.workflow import Work

FORMATS = click.Choice(["text", "json", "markdown"])
detailed = click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
formatted = click.option("--format", "form", type=FORMATS, default="text", show_default=True)


@contextmanager
def begun(settings: Settings, *, hashed: bool = True) -> Iterator[Work]:
    """The manifest loaded, said aloud when it takes a while, and its service connected."""
    from vssync import workflow

    with workflow.begin(settings, loaded(settings, hashed=hashed)) as work:
        yield work


def loaded(settings: Settings, *, hashed: bool = True) -> Loaded:
    """The manifest loaded, said aloud when it takes a while."""
    from vssync import workflow
    from vssync.cli.progress import hashing

    with hashing() as on_hashed:
        return workflow.load(settings, hashed=hashed, on_hashed=on_hashed)


def shown(planned: Plan, form: str, given: dict[str, Any]) -> str:
    """A plan in the form asked for."""
    from vssync.render import plan_json, plan_markdown, plan_text

    if form == "json":
        return plan_json(planned)
    return (plan_markdown if form == "markdown" else plan_text)(planned, flags.view(given))


def code_of(planned: Plan, detailed: bool) -> int:
    """The exit code of having made this plan."""
    if planned.refusals:
        return endings.REFUSED
    return endings.CHANGES if detailed and not planned.empty else endings.DONE


def carry_out(
    work: Work, planned: Plan, form: str, given: dict[str, Any], *, question: Callable[[], None] | None
) -> int:
    """Shows the plan, asks, runs it, shows the report."""
    from vssync import workflow
    from vssync.cli.progress import watching
    from vssync.render import report_json, report_markdown, report_text

    if form == "text" or planned.refusals:
        click.echo(shown(planned, form, given), color=True)
    if planned.refusals or (planned.empty and form == "text"):
        return code_of(planned, detailed=False)
    if question:
        question()
    if form == "text":
        click.echo()
    with watching() as watcher:
        report = workflow.apply(work, planned, watcher, fail_fast=given["fail_fast"])
    show = {"text": report_text, "markdown": report_markdown}.get(form)
    click.echo(show(report, flags.view(given)) if show else report_json(report), color=True)
    if report.interrupted:
        return endings.interrupted()
    return endings.DONE if report.converged else endings.INCOMPLETE


def ask() -> None:
    """Only a person at a terminal can say yes.

    Raises Refused otherwise.
    """
    from vssync.errors import Refused

    if not sys.stdin.isatty():
        raise Refused("not confirmed: there is no terminal to ask on. Apply with --yes, or a saved plan.")
    click.echo("\nOnly `yes` is taken for an answer. Apply this plan? ", err=True, nl=False)
    if sys.stdin.readline().strip() != "yes":
        raise Refused("not confirmed: nothing was written.")


def confirmed(owner: str, given: str | None) -> None:
    """Destroying takes the owner's name, typed or given.

    Raises Refused for anything else.
    """
    from vssync.errors import Refused

    if given is None and sys.stdin.isatty():
        click.echo(f"\nThis cannot be undone. Type {owner} to delete all of it: ", err=True, nl=False)
        given = sys.stdin.readline().strip()
    if given != owner:
        raise Refused(f"not confirmed: nothing was written. Type the name at a terminal, or give --confirm {owner}.")
