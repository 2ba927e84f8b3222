"""`vssync search`: searches the live stores, as an application would."""

from __future__ import annotations

from math import isnan

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import OUTPUT, option, verb
from vssync.cli.options import COLOR, JSON_FORMAT, SERVICE, CommandOptions, shared_options
from vssync.cli.process import print_error
from vssync.cli.session import session_with_progress
from vssync.errors import UsageProblem, VssyncError
from vssync.limits import SEARCH_RESULTS

_COUNT = click.IntRange(SEARCH_RESULTS[0], SEARCH_RESULTS[-1])
_FILTER_HELP = (
    "Only files with this attribute: key=value, key!=value, key>=value, or the API's JSON; several must all hold."
)


@verb
@shared_options(
    *SERVICE,
    COLOR,
    option("--full", "Print the whole text of each result.", heading=OUTPUT, is_flag=True),
    option("-q --quiet", "Print only the score and the file of each result.", heading=OUTPUT, is_flag=True),
)
@option(
    "-s --store stores",
    "Search only this store.  [default: all of them]",
    multiple=True,
    shell_complete=complete_stores,
)
@option("--filter filters", _FILTER_HELP, multiple=True)
@option("-n --most", "The largest number of results.", type=_COUNT, metavar="N", default=5, show_default=True)
@option("--min-score", "Leave out results with a lower score.", type=click.FloatRange(0), metavar="N", default=0.0)
@JSON_FORMAT
@click.argument("question", nargs=-1, required=True)
def search(
    options: CommandOptions,
    *,
    question: tuple[str, ...],
    stores: tuple[str, ...],
    filters: tuple[str, ...],
    most: int,
    min_score: float,
) -> None:
    """Search the live stores, as an application would.

    The question needs no quotes, unless your shell interprets a character in it, such as `?`. If a store cannot be
    searched, such as one that does not exist yet, the others are searched, and the exit code is 1.
    """
    from vssync.commands.search import SearchRequest, search_stores
    from vssync.render.search import search_json, search_text

    if isnan(min_score):
        raise UsageProblem("--min-score: nan is not a score; give a number from 0 up")
    request = SearchRequest(" ".join(question), stores, filters, most, min_score)
    with session_with_progress(options.settings(), hashed=False) as session:
        results = search_stores(session, request)
    is_json = options.output_format == "json"
    click.echo(search_json(results) if is_json else search_text(results, options.view()), color=True)
    for hint in results.hints:
        print_error(f"hint: {hint}", level="info")
    if results.problems:
        raise VssyncError("\n".join(results.problems))
