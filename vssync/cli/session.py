"""What several commands do: load and connect, show a plan, ask a person, carry a plan out."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import exit_codes, signals
from vssync.cli.options import make_view

if TYPE_CHECKING:
    from vssync.commands.session import Session, Settings
    from vssync.journal.writer import Journal
    from vssync.model.plan import Plan
    from vssync.sources.load import LoadedManifest


FORMATS = click.Choice(["text", "json", "markdown"])
detailed_exitcode_option = click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
lock_timeout_option = click.option(
    "--lock-timeout",
    type=click.FloatRange(0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait for another run on this machine to end.  [default: 0]",
)
format_option = click.option("--format", "form", type=FORMATS, default="text", show_default=True)
plan_format_option = click.option(
    "--format",
    "form",
    type=click.Choice([*FORMATS.choices, "gitlab"]),
    default="text",
    show_default=True,
    help="markdown: for a comment, or with --full for a job's summary; gitlab: for GitLab's plan report.",
)


@contextmanager
def open_session_or_exit(settings: Settings, *, hashed: bool = True) -> Iterator[Session]:
    """The manifest loaded, said aloud when it takes a while, and its service connected."""
    from vssync.commands.session import open_session

    with open_session(settings, load_with_progress(settings, hashed=hashed)) as work:
        yield work


def plan_with_progress(work: Session, make: Callable[[], Plan]) -> Plan:
    """A plan, made while it is said how much of the service is read."""
    from vssync.cli.progress.lines import reading

    client = work.client
    with reading(lambda: client.listed_count, lambda: client.sender.retry_count, lambda: client.sender.last_failure):
        return make()


@contextmanager
def lock_or_wait(work: Session, seconds: float) -> Iterator[Journal]:
    """The journal, while nobody else of this machine applies this manifest; whom it waits for is said aloud."""
    from vssync.commands.apply import locked_journal

    with locked_journal(work, seconds, lambda who: click.echo(f"Waiting for {who}.", err=True)) as record:
        yield record


def tell_left_over(work: Session) -> None:
    """Says what a run that was cut off left: on the screen only, since a plan holds nothing known to one machine."""
    from vssync.commands.apply import describe_left_over
    from vssync.text import escape_control

    for line in describe_left_over(work).splitlines():
        click.echo(escape_control(line), err=True)


def load_with_progress(settings: Settings, *, hashed: bool = True) -> LoadedManifest:
    """The manifest loaded, said aloud when it takes a while."""
    from vssync.cli.progress.lines import hashing
    from vssync.commands.session import load_manifest

    with hashing() as on_hashed:
        return load_manifest(settings, hashed=hashed, on_hashed=on_hashed)


def show_plan(planned: Plan, form: str, given: dict[str, Any]) -> str:
    """A plan in the form asked for."""
    from vssync.render.json import plan_gitlab, plan_json
    from vssync.render.markdown import plan_markdown
    from vssync.render.plan_text import plan_text

    for_people = {"text": plan_text, "markdown": plan_markdown}
    if form in for_people:
        return for_people[form](planned, make_view(given))
    return plan_gitlab(planned) if form == "gitlab" else plan_json(planned)


def plan_exit_code(planned: Plan, detailed: bool) -> int:
    """The exit code of having made this plan."""
    if planned.refusals:
        return exit_codes.REFUSED
    return exit_codes.CHANGES if detailed and not planned.empty else exit_codes.DONE


def carry_out(
    work: Session,
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
    from vssync.cli.progress import watching
    from vssync.commands.apply import apply_plan
    from vssync.render.json import report_json
    from vssync.render.markdown import report_markdown
    from vssync.render.report import already_text, report_text

    already: tuple[str, ...] = given.get("already", ())
    if form == "text" or planned.refusals:
        click.echo(show_plan(planned, form, given), color=True)
    if planned.refusals or (planned.empty and form == "text"):
        if already and not planned.refusals:
            click.echo(f"\n{already_text(already, make_view(given))}")
        return plan_exit_code(planned, detailed=False)
    if question:
        if form != "text":
            click.echo(show_plan(planned, "text", given), err=True)
        question()
    if form == "text":
        click.echo()
    with watching() as watcher:
        report = apply_plan(work, planned, watcher, fail_fast=given["fail_fast"], record=record)
    report = replace(report, already=already)
    show = {"text": report_text, "markdown": report_markdown}.get(form)
    click.echo(show(report, make_view(given)) if show else report_json(report), color=True)
    if report.interrupted:
        exit_codes.leave(signals.signals.code())
    return exit_codes.DONE if report.converged else exit_codes.INCOMPLETE


def ask_to_apply() -> None:
    """Only a person at a terminal can say yes.

    Raises Refused otherwise.
    """
    from vssync.errors import Refused

    if not sys.stdin.isatty():
        raise Refused("not confirmed: there is no terminal to ask on. Apply with --yes, or a saved plan.")
    click.echo("\nOnly `yes` is taken for an answer. Apply this plan? ", err=True, nl=False)
    if sys.stdin.readline().strip() != "yes":
        raise Refused("not confirmed: nothing was written.")


def is_confirmed(owner: str, given: str | None) -> None:
    """Destroying takes the owner's name, typed or given.

    Raises Refused for anything else.
    """
    from vssync.errors import Refused

    if given is None and sys.stdin.isatty():
        click.echo(f"\nThis cannot be undone. Type {owner} to delete all of it: ", err=True, nl=False)
        given = sys.stdin.readline().strip()
    if given != owner:
        raise Refused(f"not confirmed: nothing was written. Type the name at a terminal, or give --confirm {owner}.")
