"""`vssync output`: where applications find their stores."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import make_settings, manifest_options, service_options
from vssync.cli.session import open_session_or_exit, plan_with_progress

_FORMATS = click.Choice(["text", "json", "dotenv", "github", "id"])


@click.command()
@manifest_options
@service_options
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True)
@click.argument("store", required=False, shell_complete=completion.stores)
def output(store: str | None, form: str, **given: Any) -> int:
    """Print the id, name and content digest of every store, or of STORE.

    Stores with equal digests are declared with the same files, attributes and chunking. A store that does not exist yet
    is an error.
    """
    from vssync.commands.output import output_dotenv, output_github, output_id, output_json, output_text
    from vssync.commands.plan import make_plan_now
    from vssync.model.plan import Options

    with open_session_or_exit(make_settings(given)) as work:
        options = Options(targets=(store,) if store else ())
        planned = plan_with_progress(work, lambda: make_plan_now(work, options))
    show = {
        "text": output_text,
        "json": output_json,
        "dotenv": output_dotenv,
        "github": output_github,
        "id": output_id,
    }[form]
    click.echo(show(planned))
    return exit_codes.DONE
