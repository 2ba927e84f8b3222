"""`vssync search`: asks the live stores, as an application would."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import make_settings, make_view, manifest_options, service_options, view_options
from vssync.cli.session import json_format_option, open_session_or_exit
from vssync.limits import SEARCH_RESULTS


@click.command()
@manifest_options
@service_options
@view_options
@click.option(
    "-s",
    "--store",
    shell_complete=completion.stores,
    help="Search only this store.  [default: all of them]",
)
@click.option(
    "-n",
    "--most",
    type=click.IntRange(SEARCH_RESULTS[0], SEARCH_RESULTS[-1]),
    metavar="N",
    default=5,
    show_default=True,
    help="The number of results at most.",
)
@json_format_option
@click.argument("question")
def search(question: str, store: str | None, most: int, form: str, **given: Any) -> int:
    """Search the live stores, as an application would."""
    from vssync.commands.search import search_stores
    from vssync.render.search import search_json, search_text

    with open_session_or_exit(make_settings(given), hashed=False) as work:
        hits = search_stores(work, question, most, store)
    click.echo(search_json(hits) if form == "json" else search_text(hits, make_view(given)), color=True)
    return exit_codes.DONE
