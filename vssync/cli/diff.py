"""`vssync diff`: two environments of the manifest side by side."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import environment_options, make_settings, make_view, view_options
from vssync.cli.session import detailed_exitcode_option, json_format_option, load_with_progress


@click.command()
@environment_options
@view_options
@detailed_exitcode_option
@json_format_option
@click.argument("left", metavar="A", shell_complete=completion.environments)
@click.argument("right", metavar="B", shell_complete=completion.environments)
def diff(left: str, right: str, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Compare two environments of the manifest, A and B, without contacting a service.

    Settings are compared by name and files by key. Stores with equal content digests have the same content.
    """
    from vssync.planner.compare import compare_environments
    from vssync.render.diff import diff_json, diff_text

    sides = [load_with_progress(make_settings({**given, "env": env})).desired for env in (left, right)]
    found = compare_environments(sides[0], sides[1], (left, right))
    click.echo(diff_json(found) if form == "json" else diff_text(found, make_view(given)), color=True)
    return exit_codes.CHANGES if detailed_exitcode and not found.same else exit_codes.DONE
