"""`vssync status`: each store, or one file as declared, live and planned."""

from __future__ import annotations

import click

from vssync.cli.completion import complete_addresses
from vssync.cli.help import option, verb
from vssync.cli.options import DETAILED_EXITCODE, ENGINE, JSON_FORMAT, SERVICE, VIEW, CommandOptions, shared_options
from vssync.cli.process import DONE
from vssync.cli.session import each_environment, plan_exit_code, read_with_progress, session_with_progress


@verb
@shared_options(*SERVICE, ENGINE, *VIEW, JSON_FORMAT, DETAILED_EXITCODE)
@option("--verify", "Ask for each File, which a store may list after it was deleted: a request each.", is_flag=True)
@click.argument("address", required=False, shell_complete=complete_addresses)
def status(options: CommandOptions, address: str | None, detailed_exitcode: bool, verify: bool) -> int:
    """Show the id and files of each store, and whether it agrees with the manifest.

    More than five stores have a line each; ADDRESS, a store, or --full shows all about them. With the ADDRESS of a
    file, such as docs/guide/intro.md, show that file: as declared, as live, as planned. `-e '*'` shows each declared
    environment, and those that a pattern such as `pr-*` made live.
    """

    def show(options: CommandOptions) -> int:
        return _show(options, address, detailed=detailed_exitcode, verify=verify)

    return each_environment(options, show, live=True)


def _show(options: CommandOptions, address: str | None, *, detailed: bool, verify: bool) -> int:
    from vssync.commands.plan import make_plan_now
    from vssync.commands.status import inspect_file
    from vssync.model.plan import Options
    from vssync.render.json import status_json
    from vssync.render.status import inspection_json, inspection_text, status_text

    is_json = options.output_format == "json"
    with session_with_progress(options.settings()) as session:
        if address and "/" in address:
            show_file = inspection_json if is_json else inspection_text
            click.echo(show_file(inspect_file(session, address), session.loaded.desired))
            return DONE
        targets = (address,) if address else ()
        plan = read_with_progress(session, lambda: make_plan_now(session, Options(targets=targets), verify=verify))
    click.echo(status_json(plan) if is_json else status_text(plan, options.view()), color=True)
    return plan_exit_code(plan, detailed=True) if detailed else DONE
