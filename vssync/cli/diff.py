"""`vssync diff`: two environments of the manifest side by side."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import click

from vssync.cli.completion import complete_environments
from vssync.cli.help import option, verb
from vssync.cli.options import (
    ALL_ENVIRONMENTS,
    CONNECTION_OPTIONS,
    DETAILED_EXITCODE,
    ENGINE,
    JSON_FORMAT,
    VIEW,
    CommandOptions,
    shared_options,
)
from vssync.cli.process import CHANGES, DONE
from vssync.cli.session import load_with_progress, read_with_progress, session_with_progress
from vssync.errors import ManifestError, VssyncError

if TYPE_CHECKING:
    from vssync.planner.environment_diff import EnvironmentState


@verb
@shared_options(*ALL_ENVIRONMENTS, ENGINE, *CONNECTION_OPTIONS, *VIEW, DETAILED_EXITCODE, JSON_FORMAT)
@option("--desired", "Compare what the manifest declares, without contacting a service.", is_flag=True)
@click.argument("environments", metavar="A B", nargs=2, shell_complete=complete_environments)
def diff(options: CommandOptions, environments: tuple[str, str], detailed_exitcode: bool, desired: bool) -> int:
    """Compare two environments of the manifest, A and B, as they are live, each at its own service.

    Settings are compared by name and files by key. Stores with equal content digests have the same content.
    """
    from vssync.planner.environment_diff import compare_environments
    from vssync.render.diff import diff_json, diff_text

    comparison = compare_environments(*(_read_environment(options, name, desired=desired) for name in environments))
    shown = diff_json(comparison) if options.output_format == "json" else diff_text(comparison, options.view())
    click.echo(shown, color=True)
    return CHANGES if detailed_exitcode and not comparison.same else DONE


def _read_environment(options: CommandOptions, name: str, *, desired: bool) -> EnvironmentState:
    """One side. Errors of its service or credential say which side they are of."""
    from vssync.commands.plan import read_live
    from vssync.model.plan import Options
    from vssync.planner.environment_diff import declared_environment, live_environment

    settings = replace(options, env=name).settings()
    if desired:
        return declared_environment(name, load_with_progress(settings).desired)
    try:
        with session_with_progress(settings) as session:
            snapshot = read_with_progress(session, lambda: read_live(session, Options()))
            return live_environment(name, session.loaded.desired, snapshot, session.capabilities)
    except ManifestError:
        raise
    except VssyncError as error:
        error.args = (f"{name}: {error}", *error.args[1:])
        raise
