"""What several commands do: load and connect, show a plan, ask a person, carry a plan out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import endings, flags, signals

if TYPE_CHECKING:
    from vssync.journal import Journal
    from vssync.plan import Plan
    from vssync.settings import Settings
    from vssync.sources import Loaded
    from vssync.workflow import Work

FORMATS = click.Choice(["text", "json", "markdown"])
detailed = click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
lock_timeout = click.option(
    "--lock-timeout",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another run on this machine to end.  [default: 0]",
)
formatted = click.option("--format", "form", type=FORMATS, default="text", show_default=True)
planned_as = click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS.choices, "gitlab"]),
    default="text",
    show_default=True,
    help="markdown: for a comment, or with --full for a job's summary; gitlab: for GitLab's plan report.",
)


@contextmanager
def begun(settings: Settings, *, hashed: bool = True) -> Iterator[Work]:
    """The manifest loaded, said aloud when it takes a while, and its service connected."""
    from vssync import workflow

    with workflow.begin(settings, loaded(settings, hashed=hashed)) as work:
        yield work


def planned(work: Work, make: Callable[[], Plan]) -> Plan:
    """A plan, made while it is said how much of the service is read."""
    from vssync.cli.progress import reading

    with reading(lambda: work.client.listed, lambda: work.client.repeated, lambda: work.client.trouble):
        return make()


@contextmanager
def alone(work: Work, seconds: float) -> Iterator[Journal]:
    """The journal, while nobody else of this machine applies this manifest; whom it waits for is said aloud."""
    from vssync.workflow.applying import alone as locked

    with locked(work, seconds, lambda who: click.echo(f"Waiting for {who}.", err=True)) as record:
        yield record


def tell_left_over(work: Work) -> None:
    """Says what a run that was cut off left: on the screen only, since a plan holds nothing known to one machine."""
    from vssync.render import clean
    from vssync.workflow.applying import left_over

    for line in left_over(work).splitlines():
        click.echo(clean(line), err=True)


def loaded(settings: Settings, *, hashed: bool = True) -> Loaded:
    """The manifest loaded, said aloud when it takes a while."""
    from vssync import workflow
    from vssync.cli.progress import hashing

    with hashing() as on_hashed:
        return workflow.load(settings, hashed=hashed, on_hashed=on_hashed)


def shown(planned: Plan, form: str, given: dict[str, Any]) -> str:
    """A plan in the form asked for."""
    from vssync.render import plan_gitlab, plan_json, plan_markdown, plan_text

    for_people = {"text": plan_text, "markdown": plan_markdown}
    if form in for_people:
        return for_people[form](planned, flags.view(given))
    return plan_gitlab(planned) if form == "gitlab" else plan_json(planned)


def code_of(planned: Plan, detailed: bool) -> int:
    """The exit code of having made this plan."""
    if planned.refusals:
        return endings.REFUSED
    return endings.CHANGES if detailed and not planned.empty else endings.DONE


def carry_out(
    work: Work,
    planned: Plan,
    form: str,
    given: dict[str, Any],
    *,
    question: Callable[[], None] | None,
    record: Journal | None = None,
) -> int:
    """Shows the plan, asks, runs it, shows the report. `record` is the journal of a lock that is held.

    `given["already"]` are the addresses of a saved plan's changes that are not needed any more.
    """
    from vssync import workflow
    from vssync.cli.progress import watching
    from vssync.render import already_text, report_json, report_markdown, report_text

    already: tuple[str, ...] = given.get("already", ())
    if form == "text" or planned.refusals:
        click.echo(shown(planned, form, given), color=True)
    if planned.refusals or (planned.empty and form == "text"):
        if already and not planned.refusals:
            click.echo(f"\n{already_text(already, flags.view(given))}")
        return code_of(planned, detailed=False)
    if question:
        if form != "text":
            click.echo(shown(planned, "text", given), err=True)
        question()
    if form == "text":
        click.echo()
    with watching() as watcher:
        report = workflow.apply(work, planned, watcher, fail_fast=given["fail_fast"], record=record)
    report = replace(report, already=already)
    show = {"text": report_text, "markdown": report_markdown}.get(form)
    click.echo(show(report, flags.view(given)) if show else report_json(report), color=True)
    if report.interrupted:
        endings.leave(signals.heard.code())
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
