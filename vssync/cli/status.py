"""`vssync status`: each store, or one file from all sides."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import make_settings, make_view, manifest_options, service_options, view_options
from vssync.cli.session import (
    detailed_exitcode_option,
    json_format_option,
    open_session_or_exit,
    plan_exit_code,
    plan_with_progress,
)


@click.command()
@manifest_options
@service_options
@view_options
@json_format_option
@detailed_exitcode_option
@click.argument("address", required=False, shell_complete=completion.addresses)
def status(address: str | None, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Show the id and files of each store, and whether it agrees with the manifest.

    With the ADDRESS of a file, such as docs/guide/intro.md, show that file: as declared, as live, as planned.
    """
    from vssync.commands.plan import make_plan_now
    from vssync.commands.status import inspect_file
    from vssync.model.plan import Options
    from vssync.render.file_status import inspection_json, inspection_text
    from vssync.render.json import status_json
    from vssync.render.plan_text import status_text

    with open_session_or_exit(make_settings(given)) as work:
        if address and "/" in address:
            show_file = inspection_json if form == "json" else inspection_text
            click.echo(show_file(inspect_file(work, address), work.loaded.desired))
            return exit_codes.DONE
        options = Options(targets=(address,) if address else ())
        planned = plan_with_progress(work, lambda: make_plan_now(work, options))
    click.echo(status_json(planned) if form == "json" else status_text(planned, make_view(given)), color=True)
    return plan_exit_code(planned, detailed_exitcode) if detailed_exitcode else exit_codes.DONE
