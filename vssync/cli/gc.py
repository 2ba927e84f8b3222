"""`vssync gc`: lists uploads of ours that no store holds, and deletes them when told to."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import make_settings, manifest_options, service_options
from vssync.cli.session import json_format_option, lock_or_wait, lock_timeout_option, open_session_or_exit


@click.command()
@manifest_options
@service_options
@json_format_option
@lock_timeout_option
@click.option("--suspected", is_flag=True, help="Include uploads that only look like vssync's, by name and size.")
@click.option("-y", "--yes", is_flag=True, help="Delete them.  [default: list them]")
def gc(suspected: bool, yes: bool, form: str, lock_timeout: float, **given: Any) -> int:
    """List orphaned uploads, such as interrupted runs leave behind; with --yes, delete them.

    An upload is orphaned when no store holds it, and vssync's own when this machine's journal or a digest in its name
    proves it. One younger than a day is spared, unless an interrupted run on this machine left it.
    """
    from vssync.commands.gc import delete_orphans, find_orphans
    from vssync.render.json import orphans_json
    from vssync.text import count_noun, escape_control

    with open_session_or_exit(make_settings(given)) as work, lock_or_wait(work, lock_timeout) as record:
        found = find_orphans(work, record, suspected=suspected)
        left = delete_orphans(work, record, found) if yes else found
    if form == "json":
        click.echo(orphans_json(left, work.loaded.desired.owner, deleted=len(found) - len(left) if yes else None))
        return exit_codes.INCOMPLETE if yes and left else exit_codes.DONE
    for orphan in left:
        suspected_mark = "  suspected" if orphan.suspected else ""
        click.echo(f"  {escape_control(orphan.file_id)}{suspected_mark}  {escape_control(orphan.detail)}")
    if not yes:
        click.echo(f"{count_noun(len(found), 'orphan')}." + (" Delete with --yes." if found else ""))
        return exit_codes.DONE
    click.echo(f"{count_noun(len(found) - len(left), 'orphan')} deleted, {len(left):,} left.")
    return exit_codes.INCOMPLETE if left else exit_codes.DONE
