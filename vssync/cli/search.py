"""`vssync search`: searches the live stores, as an application would."""

from __future__ import annotations

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import option, verb
from vssync.cli.options import JSON_FORMAT, SERVICE, VIEW, CommandOptions, shared_options
from vssync.cli.session import session_with_progress
from vssync.limits import SEARCH_RESULTS

_COUNT = click.IntRange(SEARCH_RESULTS[0], SEARCH_RESULTS[-1])


@verb
@shared_options(*SERVICE, *VIEW)
@option("-s --store", "Search only this store.  [default: all of them]", shell_complete=complete_stores)
@option("-n --most", "The largest number of results.", type=_COUNT, metavar="N", default=5, show_default=True)
@JSON_FORMAT
@click.argument("question")
def search(options: CommandOptions, question: str, store: str | None, most: int) -> None:
    """Search the live stores, as an application would."""
    from vssync.commands.search import search_stores
    from vssync.render.search import search_json, search_text

    with session_with_progress(options.settings(), hashed=False) as session:
        hits = search_stores(session, question, most, store)
    text = search_json(hits) if options.output_format == "json" else search_text(hits, options.view())
    click.echo(text, color=True)
