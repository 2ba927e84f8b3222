"""`vssync test`: asks the live stores the questions that the manifest has for them."""

from __future__ import annotations

import click

from vssync.cli.completion import complete_stores
from vssync.cli.help import verb
from vssync.cli.options import ENGINE, SERVICE, VIEW, CommandOptions, format_option, shared_options
from vssync.cli.session import ask_with_progress, format_questions, questions_exit_code, session_with_progress


@verb
@shared_options(*SERVICE, ENGINE, *VIEW, format_option("text", "json", "markdown", "html", "junit"))
@click.argument("stores", metavar="[STORE]...", nargs=-1, shell_complete=complete_stores)
def test(options: CommandOptions, stores: tuple[str, ...]) -> int:
    """Ask the live stores the questions of the manifest.

    A question passes when what it expects is among the first results. Exits with 2 when too few pass or a `never` is
    broken, with 4 when questions could not be asked.
    """
    from vssync.commands.test import stores_with_questions

    # The answers say what the manifest's warnings say of questions.
    with session_with_progress(options.settings(), warns=False) as session:
        report = ask_with_progress(session, stores_with_questions(session.loaded.desired, stores))
    click.echo(format_questions(report, options, session.settings), color=True)
    return questions_exit_code(report)
