"""`vssync diff`: two environments of the manifest side by side."""

from __future__ import annotations

from dataclasses import replace

import click

from vssync.cli import exit_codes
from vssync.cli.completion import complete_environments
from vssync.cli.help import verb
from vssync.cli.options import (
    ALL_ENVIRONMENTS_OPTIONS,
    VIEW_OPTIONS,
    CommandOptions,
    detailed_exitcode_option,
    json_format_option,
    shared_options,
)
from vssync.cli.session import load_with_progress


@verb
@shared_options(ALL_ENVIRONMENTS_OPTIONS, VIEW_OPTIONS)
@detailed_exitcode_option
@json_format_option
@click.argument("left", metavar="A", shell_complete=complete_environments)
@click.argument("right", metavar="B", shell_complete=complete_environments)
def diff(options: CommandOptions, left: str, right: str, output_format: str, detailed_exitcode: bool) -> int:
    """Compare two environments of the manifest, A and B, without contacting a service.

    Settings are compared by name and files by key. Stores with equal content digests have the same content.
    """
    from vssync.planner.compare import compare_environments
    from vssync.render.diff import diff_json, diff_text

    sides = [load_with_progress(replace(options, env=env).settings()).desired for env in (left, right)]
    comparison = compare_environments(sides[0], sides[1], (left, right))
    shown = diff_json(comparison) if output_format == "json" else diff_text(comparison, options.view())
    click.echo(shown, color=True)
    return exit_codes.CHANGES if detailed_exitcode and not comparison.same else exit_codes.DONE
