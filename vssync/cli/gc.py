"""`vssync gc`: lists orphaned uploads, and deletes them with --yes."""

from __future__ import annotations

import click

from vssync.cli import exit_codes
from vssync.cli.help import option, verb
from vssync.cli.options import SERVICE_OPTIONS, CommandOptions, json_format_option, lock_timeout_option, shared_options
from vssync.cli.session import lock_or_wait, session_with_progress
from vssync.text import count_noun, escape_control


@verb
@shared_options(SERVICE_OPTIONS)
@json_format_option
@lock_timeout_option
@option("--suspected", is_flag=True, help="Include uploads that only look like vssync's, by name and size.")
@option("-y", "--yes", is_flag=True, help="Delete them.  [default: list them]")
def gc(options: CommandOptions, suspected: bool, yes: bool, output_format: str, lock_timeout: float) -> int:
    """List orphaned uploads, which interrupted runs can leave behind; with --yes, delete them.

    An upload is orphaned when no store holds it, and vssync's own when this machine's journal or a digest in its name
    proves it. Uploads younger than a day are left alone, unless an interrupted run on this machine left them.
    """
    from vssync.commands.gc import delete_orphans, find_orphans
    from vssync.render.json import orphans_json

    with session_with_progress(options.settings()) as session, lock_or_wait(session, lock_timeout) as journal:
        orphans = find_orphans(session, journal, suspected=suspected)
        left = delete_orphans(session, journal, orphans) if yes else orphans
    deleted = len(orphans) - len(left)
    if output_format == "json":
        click.echo(orphans_json(left, session.loaded.desired.owner, deleted=deleted if yes else None))
        return exit_codes.INCOMPLETE if yes and left else exit_codes.DONE
    for orphan in left:
        note = "  suspected" if orphan.suspected else ""
        click.echo(f"  {escape_control(orphan.file_id)}{note}  {escape_control(orphan.detail)}")
    if not yes:
        click.echo(f"{count_noun(len(orphans), 'orphan')}." + (" Delete with --yes." if orphans else ""))
        return exit_codes.DONE
    click.echo(f"{count_noun(deleted, 'orphan')} deleted, {len(left):,} left.")
    return exit_codes.INCOMPLETE if left else exit_codes.DONE
