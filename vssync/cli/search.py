"""`vssync search`: searches the live stores, as an application would."""

from __future__ import annotations

import click

from vssync.cli import exit_codes
from vssync.cli.completion import complete_stores
from vssync.cli.help import option, verb
from vssync.cli.options import SERVICE_OPTIONS, VIEW_OPTIONS, CommandOptions, json_format_option, shared_options
from vssync.cli.session import session_with_progress
from vssync.limits import SEARCH_RESULTS


@verb
@shared_options(SERVICE_OPTIONS, VIEW_OPTIONS)
@option("-s", "--store", shell_complete=complete_stores, help="Search only this store.  [default: all of them]")
@option(
    "-n",
    "--most",
    type=click.IntRange(SEARCH_RESULTS[0], SEARCH_RESULTS[-1]),
    metavar="N",
    default=5,
    show_default=True,
    help="The largest number of results.",
)
@json_format_option
@click.argument("question")
def search(options: CommandOptions, question: str, store: str | None, most: int, output_format: str) -> int:
    """Search the live stores, as an application would."""
    from vssync.commands.search import search_stores
    from vssync.render.search import search_json, search_text

    with session_with_progress(options.settings(), hashed=False) as session:
        hits = search_stores(session, question, most, store)
    click.echo(search_json(hits) if output_format == "json" else search_text(hits, options.view()), color=True)
    return exit_codes.DONE
