"""The commands. Each builds settings, calls the workflow, renders, and returns its exit code."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from vssync import __version__
from vssync.cli import endings, flags
from vssync.cli.init import init
from vssync.cli.render import render
from vssync.cli.serve import serve

if TYPE_CHECKING:
    from vssync.plan import Plan
    from vssync.settings import Settings
    from vssync.workflow import Work

_FORMATS = click.Choice(["text", "json", "markdown"])
_detailed = click.option("--detailed-exitcode", is_flag=True, help="Exit with 2 when there are changes.")
_format = click.option("--format", "form", type=_FORMATS, default="text", show_default=True)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="vssync")
def cli() -> None:
    """Declare vector stores and their files in a manifest; plan, review and apply the difference."""


cli.add_command(init)
cli.add_command(render)
cli.add_command(serve)


def main() -> NoReturn:
    """The program."""
    endings.leave(endings.run(lambda: cli.main(standalone_mode=False)))


@cli.command()
@flags.manifest
def validate(**given: Any) -> int:
    """Check the manifest and the files it names; no service is asked."""
    from vssync import workflow
    from vssync.render import number

    desired = workflow.load(flags.settings(given), hashed=False).desired
    files = number(sum(len(store.files) for store in desired.stores), "file")
    click.echo(f"{desired.owner}: valid. {files} in {number(len(desired.stores), 'store')}.")
    return endings.DONE


@cli.command()
@flags.manifest
@flags.service
@flags.choice
@flags.shown
@_format
@_detailed
@click.option("-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan (JSON).")
def plan(form: str, detailed_exitcode: bool, out: Path | None, **given: Any) -> int:
    """Show what apply would do; nothing is written."""
    from vssync import workflow

    options = flags.options(given)
    with _begun(flags.settings(given)) as work:
        planned = workflow.plan(work, options)
    if out:
        workflow.save_plan(planned, out)
    click.echo(_planned(planned, form, given), color=True)
    return _code(planned, detailed_exitcode)


@cli.command()
@flags.manifest
@flags.service
@flags.choice
@flags.shown
@_format
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing new after the first failure.")
@click.argument("saved", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def apply(saved: Path | None, yes: bool, form: str, **given: Any) -> int:
    """Make the service agree with the manifest.

    With PLAN, a file saved by `vssync plan --out`, exactly that plan is applied, and nothing is asked.
    """
    from vssync import workflow

    settings = flags.settings(given)
    reviewed = workflow.load_plan(saved) if saved else None
    if reviewed:
        _nothing_else()
        settings = workflow.settings_of(reviewed, settings)
    with _begun(settings) as work:
        planned = workflow.renew(work, reviewed) if reviewed else workflow.plan(work, flags.options(given))
        return _apply(work, planned, form, given, asked=yes or bool(reviewed))


def _apply(work: Work, planned: Plan, form: str, given: dict[str, Any], *, asked: bool) -> int:
    """Shows the plan, asks, runs it, shows the report."""
    from vssync import workflow
    from vssync.cli.progress import watching
    from vssync.render import report_json, report_markdown, report_text

    if form == "text" or planned.refusals or planned.empty:
        click.echo(_planned(planned, form, given), color=True)
    if planned.refusals or planned.empty:
        return _code(planned, detailed=False)
    if not asked:
        _ask()
    if form == "text":
        click.echo()
    with watching() as watcher:
        report = workflow.apply(work, planned, watcher, fail_fast=given["fail_fast"])
    show = {"text": report_text, "markdown": report_markdown}.get(form)
    click.echo(show(report, flags.view(given)) if show else report_json(report), color=True)
    if report.interrupted:
        return endings.interrupted()
    return endings.DONE if report.converged else endings.INCOMPLETE


@cli.command()
@flags.shown
@_format
@_detailed
@click.argument("saved", metavar="PLAN", type=click.Path(path_type=Path))
def show(saved: Path, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Show a plan saved by `vssync plan --out`, as plan did."""
    from vssync import workflow

    planned = workflow.load_plan(saved)
    click.echo(_planned(planned, form, given), color=True)
    return _code(planned, detailed_exitcode)


@cli.command()
@flags.manifest
@flags.service
@flags.shown
@_detailed
def status(detailed_exitcode: bool, **given: Any) -> int:
    """Show each store: its id, its files, and whether it agrees with the manifest."""
    from vssync import workflow
    from vssync.plan import Options
    from vssync.render import status_text

    with _begun(flags.settings(given)) as work:
        planned = workflow.plan(work, Options())
    click.echo(status_text(planned, flags.view(given)), color=True)
    return _code(planned, detailed_exitcode) if detailed_exitcode else endings.DONE


@cli.command()
@flags.manifest
@flags.service
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("store", required=False)
def batches(store: str | None, form: str, **given: Any) -> int:
    """Show the file batches under way, of all stores or of STORE."""
    from vssync import workflow
    from vssync.render import batches_json, batches_text

    with _begun(flags.settings(given)) as work:
        rows = workflow.batches(work, store)
    click.echo(batches_json(rows) if form == "json" else batches_text(rows))
    return endings.DONE


@cli.command()
@flags.manifest
@flags.service
@click.argument("batch_id", metavar="ID")
def cancel(batch_id: str, **given: Any) -> int:
    """Cancel a file batch of ours that is under way."""
    from vssync import workflow

    with _begun(flags.settings(given)) as work:
        status = workflow.cancel(work, batch_id)
    click.echo(f"{batch_id}: asked to stop; it is now {status.replace('_', ' ')}. Plan again to see what is left.")
    return endings.DONE


@cli.command()
@flags.manifest
@flags.service
@flags.shown
@click.option("-s", "--store", help="Search only this store.  [default: all of the manifest]")
@click.option("-n", "--most", type=click.IntRange(1, 50), default=5, show_default=True, help="How many results.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("question")
def search(question: str, store: str | None, most: int, form: str, **given: Any) -> int:
    """Ask the live stores a question, as an application would."""
    from vssync import workflow
    from vssync.render import search_json, search_text

    with _begun(flags.settings(given), hashed=False) as work:
        hits = workflow.search(work, question, most, store)
    click.echo(search_json(hits) if form == "json" else search_text(hits, flags.view(given)), color=True)
    return endings.DONE


@contextmanager
def _begun(settings: Settings, *, hashed: bool = True) -> Iterator[Work]:
    """The manifest loaded, said aloud when it takes a while, and its service connected."""
    from vssync import workflow
    from vssync.cli.progress import hashing

    with hashing() as on_hashed:
        loaded = workflow.load(settings, hashed=hashed, on_hashed=on_hashed)
    with workflow.begin(settings, loaded) as work:
        yield work


def _planned(planned: Plan, form: str, given: dict[str, Any]) -> str:
    from vssync.render import plan_json, plan_markdown, plan_text

    if form == "json":
        return plan_json(planned)
    return (plan_markdown if form == "markdown" else plan_text)(planned, flags.view(given))


def _code(planned: Plan, detailed: bool) -> int:
    if planned.refusals:
        return endings.REFUSED
    return endings.CHANGES if detailed and not planned.empty else endings.DONE


def _ask() -> None:
    """Only a person at a terminal can say yes.

    Raises Refused otherwise.
    """
    from vssync.errors import Refused

    if not sys.stdin.isatty():
        raise Refused("not confirmed: there is no terminal to ask on. Apply with --yes, or a saved plan.")
    click.echo("\nOnly `yes` is taken for an answer. Apply this plan? ", err=True, nl=False)
    if sys.stdin.readline().strip() != "yes":
        raise Refused("not confirmed: nothing was written.")


def _nothing_else() -> None:
    """A saved plan was shaped by its own options: others beside it would be ignored, so they are refused."""
    context = click.get_current_context()
    looks = {
        "saved",
        "yes",
        "fail_fast",
        "form",
        "color",
        "full",
        "quiet",
        "workers",
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
