"""The main commands, and where the others join them. Each builds settings, calls the workflow, renders, and ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import click

from vssync import __version__
from vssync.cli import endings, examples, flags, shared, signals, streams
from vssync.cli.completion import completion
from vssync.cli.diff import diff
from vssync.cli.doctor import doctor
from vssync.cli.dump import dump
from vssync.cli.gc import gc
from vssync.cli.init import init
from vssync.cli.live import batches, cancel, destroy, search, status
from vssync.cli.output import output
from vssync.cli.render import render
from vssync.cli.schema import schema
from vssync.cli.serve import serve

_HELP = ["-h", "--help"]


@click.group(context_settings={"help_option_names": _HELP, "max_content_width": 100})
@click.version_option(__version__, prog_name="vssync")
def cli() -> None:
    """Manage vector stores from a YAML manifest: plan, review and apply changes."""


JOINING = (
    init,
    doctor,
    render,
    dump,
    diff,
    output,
    schema,
    completion,
    serve,
    status,
    search,
    batches,
    cancel,
    destroy,
    gc,
)
for command in JOINING:
    cli.add_command(command)


def main() -> NoReturn:
    """The program."""
    streams.open_all()
    signals.heard.listen()
    try:
        code = endings.run(lambda: cli.main(prog_name="vssync", standalone_mode=False))
    except KeyboardInterrupt:  # a second signal, when the first took long to be answered
        code = signals.heard.code()
    endings.leave(code)


@cli.command()
@flags.manifest
def validate(**given: Any) -> int:
    """Check the manifest and the files it names, without contacting a service."""
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
@shared.planned_as
@shared.detailed
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Save the plan to this file, as JSON."
)
@click.option("--offline", is_flag=True, help="Contact no service; show what the manifest declares.")
def plan(form: str, detailed_exitcode: bool, out: Path | None, offline: bool, **given: Any) -> int:
    """Show what apply would do, without writing anything."""
    from vssync import workflow

    if offline:
        return _offline(form, out, given)
    options = flags.options(given)
    with shared.begun(flags.settings(given)) as work:
        shared.tell_left_over(work)
        planned = shared.planned(work, lambda: workflow.plan(work, options))
    if out:
        workflow.save_plan(planned, out)
    click.echo(shared.shown(planned, form, given), color=True)
    return shared.code_of(planned, detailed_exitcode)


def _offline(form: str, out: Path | None, given: dict[str, Any]) -> int:
    """Without a service there is nothing to compare with, so there is no plan to save."""
    from vssync.planner import digest_of
    from vssync.render import offline_json, offline_markdown, offline_text

    if out:
        raise click.UsageError("--offline makes no plan that could be saved: leave out --out")
    desired = shared.loaded(flags.settings(given)).desired
    show = {"text": offline_text, "markdown": offline_markdown, "json": offline_json}
    if form not in show:
        raise click.UsageError(f"--offline makes no plan whose changes could be counted: leave out --format {form}")
    click.echo(show[form](desired, [digest_of(store) for store in desired.stores]))
    return endings.DONE


@cli.command()
@flags.manifest
@flags.service
@flags.choice
@flags.shown
@shared.formatted
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--fail-fast", is_flag=True, help="Start nothing new after the first failure.")
@shared.lock_timeout
@click.argument("saved", metavar="[PLAN]", required=False, type=click.Path(path_type=Path))
def apply(saved: Path | None, yes: bool, form: str, lock_timeout: float, **given: Any) -> int:
    """Make the service agree with the manifest.

    With PLAN, a file saved by `vssync plan --out`, carry out that plan and no other, without asking.
    """
    from vssync import workflow

    settings = flags.settings(given)
    reviewed = workflow.load_plan(saved) if saved else None
    if reviewed:
        _nothing_else()
        settings = workflow.settings_of(reviewed, settings)
    question = None if yes or reviewed else shared.ask
    with shared.begun(settings) as work, shared.alone(work, lock_timeout) as record:
        planned = shared.planned(
            work, lambda: workflow.renew(work, reviewed) if reviewed else workflow.plan(work, flags.options(given))
        )
        given["already"] = workflow.already(reviewed, planned) if reviewed else ()
        return shared.carry_out(work, planned, form, given, question=question, record=record)


@cli.command()
@flags.shown
@shared.planned_as
@shared.detailed
@click.argument("saved", metavar="PLAN", type=click.Path(path_type=Path))
def show(saved: Path, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Show a plan that `vssync plan --out` saved."""
    from vssync import workflow

    planned = workflow.load_plan(saved)
    click.echo(shared.shown(planned, form, given), color=True)
    return shared.code_of(planned, detailed_exitcode)


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


for name, known in cli.commands.items():
    known.epilog = examples.epilog(name)
    known.short_help = " ".join((known.help or "").partition("\n\n")[0].split())  # whole: click would cut it
    known.context_settings = {**known.context_settings, "help_option_names": _HELP}  # also when it stands alone
