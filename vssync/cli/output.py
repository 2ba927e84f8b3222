"""`vssync output`: the ids of the stores, for applications."""

from __future__ import annotations

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import verb
from vssync.cli.options import SERVICE, CommandOptions, format_option, shared_options
from vssync.cli.session import read_with_progress, session_with_progress


@verb
@shared_options(*SERVICE)
@format_option("text", "json", "dotenv", "github", "id")
@click.argument("store", required=False, shell_complete=complete_stores)
def output(options: CommandOptions, store: str | None, output_format: str) -> None:
    """Print the id, name and content digest of every store, or of STORE.

    Stores with equal digests hold the same files, attributes and chunking. A store that does not exist yet is an error.
    """
    from vssync.commands.output import output_dotenv, output_github, output_id, output_json, output_text
    from vssync.commands.plan import make_plan_now
    from vssync.model.plan import Options

    with session_with_progress(options.settings()) as session:
        targets = (store,) if store else ()
        plan = read_with_progress(session, lambda: make_plan_now(session, Options(targets=targets)))
    show = {"json": output_json, "dotenv": output_dotenv, "github": output_github, "id": output_id}
    click.echo(show.get(output_format, output_text)(plan))
