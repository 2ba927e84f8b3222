"""What several commands do: load and connect, show a plan, ask for confirmation, apply a plan and report."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import click

from vssync.cli import process
from vssync.cli.events import event_stream
from vssync.errors import ManifestError, Refused
from vssync.text import count_noun

if TYPE_CHECKING:
    from vssync.cli.options import CommandOptions
    from vssync.commands.session import Connection, Session, Settings
    from vssync.journal.writer import Journal
    from vssync.model.plan import Plan
    from vssync.model.report import Report
    from vssync.model.state import Desired
    from vssync.planner.against import ManifestComparison
    from vssync.planner.score import QuestionReport
    from vssync.sources.load import LoadedManifest

Result = TypeVar("Result")


def load_with_progress(
    settings: Settings, *, hashed: bool = True, strict: bool = False, warns: bool = True
) -> LoadedManifest:
    """Loads the manifest, shows how far reading its files is, and prints its warnings unless `warns` is false.

    With `strict` they are errors: raises ManifestError.
    """
    from vssync.cli.progress import hashing_progress
    from vssync.commands.session import load_manifest

    with hashing_progress() as on_hashed:
        loaded = load_manifest(settings, hashed=hashed, on_hashed=on_hashed)
    if strict and loaded.warnings:
        raise ManifestError(loaded.warnings)
    print_warnings(loaded.warnings if warns else ())
    return loaded


def print_warnings(warnings: Iterable[object]) -> None:
    """Prints what is not as its writer may think."""
    for warning in warnings:
        process.print_error(f"warning: {warning}", level="warning")


def each_environment(
    options: CommandOptions, show: Callable[[CommandOptions], int | None], *, live: bool = False, samples: bool = False
) -> int:
    """Shows one environment, or each that a pattern such as `*` stands for; the exit code is the worst.

    In text, an empty line is between them; in JSON, each is a document of its own. An error of one is told, and the
    others are shown all the same. With `live`, those that a pattern of the manifest made live are among them, with
    `samples` a name for each pattern.
    """
    from vssync.commands.environments import expand_environments
    from vssync.manifest.environments import is_pattern

    if not is_pattern(options.env or ""):
        return show(options) or process.DONE
    if options.output_format in ("html", "gitlab"):
        raise click.UsageError(f"--format {options.output_format}: is of one environment; name it by --env")
    names = expand_environments(options.settings(), options.env or "", live=live, samples=samples)
    if not names and options.output_format == "text":
        click.echo(f"{options.env}: no environment of this pattern has stores.")
    return each_of(names, options, show)


def each_of(names: Iterable[str], options: CommandOptions, show: Callable[[CommandOptions], int | None]) -> int:
    """Shows each of these environments; the exit code is the worst. A signal ends all of it."""
    codes = list[int]()
    for number, name in enumerate(names):
        if number and options.output_format != "json":
            click.echo()
        if options.quiet:  # totals alone name no environment
            click.echo(f"{name}:")
        codes.append(process.run_command(partial(show, replace(options, env=name))))
        if process.signals.received:
            break
        if codes[-1] in (process.ERROR, process.USAGE, process.BUG):
            process.print_error(f"vssync: this was the environment {name}; the others are shown all the same")
    return process.worst_code(codes)


@contextmanager
def session_with_progress(settings: Settings, *, hashed: bool = True, warns: bool = True) -> Iterator[Session]:
    from vssync.commands.session import open_session

    with open_session(settings, load_with_progress(settings, hashed=hashed, warns=warns)) as session:
        print_warnings(session.client.sender.warnings)
        yield session


def read_with_progress(session: Session | Connection, read: Callable[[], Result]) -> Result:
    """What comes of reading the live state, as a plan does; shows how much of it is read."""
    from vssync.cli.progress import reading_progress

    client, sender = session.client, session.client.sender
    with reading_progress(
        lambda: client.listed_count, lambda: sender.retry_count, lambda: sender.last_failure, lambda: client.waiting_for
    ):
        return read()


@contextmanager
def lock_or_wait(session: Session, timeout: float) -> Iterator[Journal]:
    """The journal, while no other process of this machine applies the manifest; says whom it waits for."""
    from vssync.commands.apply import locked_journal

    with locked_journal(session, timeout, lambda holder: click.echo(f"Waiting for {holder}.", err=True)) as journal:
        yield journal


def format_plan(plan: Plan, options: CommandOptions, settings: Settings | None = None) -> str:
    """A plan as text, Markdown, HTML, JSON or GitLab's report; `settings` are those it was made with just now."""
    if options.output_format in ("json", "gitlab"):
        from vssync.render.json import plan_gitlab, plan_json

        return (plan_json if options.output_format == "json" else plan_gitlab)(plan)
    if options.output_format == "html":
        from vssync.commands.apply import audit_of
        from vssync.render.html import plan_html

        return plan_html(plan, options.view(), audit_of(settings, datetime.now(UTC), plan))
    if options.output_format == "markdown":
        from vssync.render.comment import plan_markdown

        return plan_markdown(plan, options.view())
    from vssync.render.plan_text import plan_text

    return plan_text(plan, options.view())


def format_comparison(comparison: ManifestComparison, options: CommandOptions) -> str:
    """A comparison in the same forms."""
    from vssync.render.against import comparison_json, comparison_text
    from vssync.render.comment import comparison_markdown
    from vssync.render.json import plan_gitlab

    if options.output_format in ("json", "gitlab"):
        return comparison_json(comparison) if options.output_format == "json" else plan_gitlab(comparison.plan)
    if options.output_format == "html":
        from vssync.commands.apply import audit_of
        from vssync.render.html import comparison_html

        return comparison_html(comparison, options.view(), audit_of(None, datetime.now(UTC)))
    show = comparison_markdown if options.output_format == "markdown" else comparison_text
    return show(comparison, options.view())


def format_valid(desired: Desired) -> str:
    files = count_noun(sum(len(store.files) for store in desired.stores), "file")
    asked = sum(len(store.tests.questions) for store in desired.stores if store.tests)
    questions = f", {count_noun(asked, 'question')}" if asked else ""
    return f"{desired.owner}: valid. {files} in {count_noun(len(desired.stores), 'store')}{questions}."


def print_plan(plan: Plan, options: CommandOptions, *, detailed: bool, settings: Settings | None = None) -> int:
    click.echo(format_plan(plan, options, settings), color=True)
    return plan_exit_code(plan, detailed=detailed)


def plan_exit_code(plan: Plan, *, detailed: bool) -> int:
    """The exit code of a command that made or showed this plan."""
    from vssync.model.convergence import find_convergence

    if plan.refusals:
        return process.REFUSED
    return process.CHANGES if detailed and not find_convergence(plan).reached else process.DONE


def approve(
    plan: Plan, options: CommandOptions, ask: Callable[[], None] | None, settings: Settings | None = None
) -> bool:
    """Shows a plan made with these settings, and asks where it would change something.

    Whether it may be applied: False where it is refused. Raises what `ask` raises where the answer is no.
    """
    if options.output_format == "text" or plan.refusals:
        click.echo(format_plan(plan, options, settings), color=True)
    if plan.refusals:
        return False
    if ask and not plan.empty:
        if options.output_format != "text" and not event_stream():
            click.echo(format_plan(plan, replace(options, output_format="text")), err=True)
        ask()
    return True


def apply_with_progress(
    session: Session, plan: Plan, journal: Journal, options: CommandOptions, saved: Plan | None = None
) -> Report:
    """Applies a plan; `saved` is the saved plan of which it is what is still to be done."""
    from vssync.cli.progress import apply_progress, line_progress
    from vssync.commands.apply import apply_plan

    if options.output_format == "text" and not plan.empty:
        click.echo()
    with line_progress() if plan.empty and not event_stream() else apply_progress() as watcher:
        return apply_plan(session, plan, watcher, fail_fast=options.fail_fast, journal=journal, saved=saved)


def print_report(
    session: Session,
    report: Report,
    options: CommandOptions,
    kind: str = "report",
    ask: Callable[[Report], QuestionReport | None] | None = None,
) -> int:
    """Prints the report of an apply, in JSON as a document of this `kind`; in text, only what is new in it.

    Unless the run was interrupted, `ask` then gives the answers to the questions of the manifest, or None where they
    could not be asked; they are printed below the report, in other formats than text within it.
    """
    is_text, answers, is_asked = options.output_format == "text", None, False
    try:
        if is_text:
            _print_formatted(report, options)
        if ask and not report.interrupted:
            is_asked, answers = True, ask(report)
    finally:  # whatever becomes of the questions, what was applied is told
        if not is_text:
            _print_formatted(report, options, kind, answers)
    if report.interrupted:
        process.end_process(process.signals.exit_code())
    if answers and is_text:
        click.echo(f"\n{format_questions(answers, options)}", color=True)
    if is_text and not options.quiet:
        _print_next_steps(session, report, options)
    if not report.converged or (is_asked and not answers):
        return process.INCOMPLETE
    return questions_exit_code(answers) if answers else process.DONE


def _print_formatted(
    report: Report, options: CommandOptions, kind: str = "report", answers: QuestionReport | None = None
) -> None:
    from vssync.render.json import report_json
    from vssync.render.markdown import report_markdown
    from vssync.render.report import closing_text, report_text

    view = options.view()
    if options.output_format == "json":
        click.echo(report_json(report, kind, answers))
    elif options.output_format == "html":
        from vssync.render.html import report_html

        click.echo(report_html(report, view, answers), color=True)
    elif options.output_format == "markdown":
        from vssync.render.test import question_blocks

        click.echo(report_markdown(report, view, question_blocks(answers, view) if answers else ()), color=True)
    elif not report.plan.empty:
        click.echo(report_text(report, view), color=True)
    elif text := closing_text(report, view):
        click.echo(f"\n{text}")


def _print_next_steps(session: Session, report: Report, options: CommandOptions) -> None:
    from vssync.commands.next_steps import next_steps
    from vssync.render.report import next_steps_text

    if steps := next_steps(session, report):
        click.echo(f"\n{next_steps_text(steps, options.view())}")


def ask_with_progress(
    session: Session, keys: Collection[str], made_ids: Mapping[str, str] | None = None
) -> QuestionReport:
    """The results of the questions of these stores; shows how many are asked."""
    from vssync.cli.progress import asking_progress
    from vssync.commands.test import AskProgress, ask_stores

    progress, sender = AskProgress(), session.client.sender
    with asking_progress(
        lambda: (progress.asked, progress.total), lambda: sender.retry_count, lambda: sender.last_failure
    ):
        return ask_stores(session, keys, progress, made_ids)


def format_questions(report: QuestionReport, options: CommandOptions, settings: Settings | None = None) -> str:
    """The results as text, Markdown, HTML, JSON or JUnit's XML; `settings` are those of the session that asked."""
    from vssync.render.test import questions_json, questions_junit, questions_markdown, questions_text

    if options.output_format in ("json", "junit"):
        return (questions_json if options.output_format == "json" else questions_junit)(report)
    if options.output_format == "html":
        from vssync.commands.apply import audit_of
        from vssync.render.html import questions_html

        return questions_html(report, options.view(), audit_of(settings, datetime.now(UTC)))
    show = questions_markdown if options.output_format == "markdown" else questions_text
    return show(report, options.view())


def questions_exit_code(report: QuestionReport) -> int:
    """The exit code of a run that asked these questions."""
    if report.failed:
        return process.CHANGES
    return process.INCOMPLETE if report.unasked else process.DONE


def confirm(question: str, way_out: str) -> None:
    """Asks a person at a terminal.

    Raises Refused for any answer but yes and, with the way out, where there is no terminal.
    """
    if not sys.stdin.isatty():
        raise Refused(f"not confirmed: there is no terminal to ask on. {way_out}")
    click.echo(f"\nOnly `yes` is accepted. {question} ", err=True, nl=False)
    if sys.stdin.readline().strip() != "yes":
        raise Refused("not confirmed: nothing was written.")


def confirm_owner(owner: str, answer: str | None) -> None:
    """Takes the owner, from an option or typed at the terminal. Raises Refused for anything else."""
    if answer is None and sys.stdin.isatty():
        click.echo(f"\nThis cannot be undone. Type {owner} to delete all of it: ", err=True, nl=False)
        answer = sys.stdin.readline().strip()
    if answer != owner:
        raise Refused(
            f"not confirmed: nothing was written. The owner is {owner}: type it at a terminal, or give "
            f"--confirm {shlex.quote(owner)}."
        )
