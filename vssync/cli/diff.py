"""`vssync diff`: two environments of the manifest side by side."""

from __future__ import annotations

from dataclasses import replace

import click

from vssync.cli.completion import complete_environments
from vssync.cli.help import verb
from vssync.cli.options import ALL_ENVIRONMENTS, DETAILED_EXITCODE, JSON_FORMAT, VIEW, CommandOptions, shared_options
from vssync.cli.process import CHANGES, DONE
from vssync.cli.session import load_with_progress


@verb
@shared_options(*ALL_ENVIRONMENTS, *VIEW, DETAILED_EXITCODE, JSON_FORMAT)
@click.argument("left", metavar="A", shell_complete=complete_environments)
@click.argument("right", metavar="B", shell_complete=complete_environments)
def diff(options: CommandOptions, left: str, right: str, output_format: str, detailed_exitcode: bool) -> int:
    """Compare two environments of the manifest, A and B, without contacting a service.

    Settings are compared by name and files by key. Stores with equal content digests have the same content.
    """
    from vssync.planner.environment_diff import compare_environments
    from vssync.render.diff import diff_json, diff_text

    sides = [load_with_progress(replace(options, env=env).settings()).desired for env in (left, right)]
    comparison = compare_environments(sides[0], sides[1], (left, right))
    shown = diff_json(comparison) if output_format == "json" else diff_text(comparison, options.view())
    click.echo(shown, color=True)
    return CHANGES if detailed_exitcode and not comparison.same else DONE
