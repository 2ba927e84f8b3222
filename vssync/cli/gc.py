"""`vssync gc`: lists orphaned uploads, and deletes them with --yes."""

from __future__ import annotations

import click

from vssync.cli.help import option, verb
from vssync.cli.options import JSON_FORMAT, LOCK_TIMEOUT, SERVICE, CommandOptions, shared_options
from vssync.cli.process import DONE, INCOMPLETE
from vssync.cli.session import lock_or_wait, session_with_progress
from vssync.text import count_noun, escape_control


@verb
@shared_options(*SERVICE, JSON_FORMAT, LOCK_TIMEOUT)
@option("--suspected", "Include uploads that only look like vssync's, by name and size.", is_flag=True)
@option("-y --yes", "Delete them.  [default: list them]", is_flag=True)
def gc(options: CommandOptions, suspected: bool, yes: bool, output_format: str, lock_timeout: float) -> int:
    """List orphaned uploads, which interrupted runs can leave behind; with --yes, delete them.

    An upload is orphaned when no store holds it. It is vssync's own when this machine's journal or a digest in its name
    proves that. Uploads younger than a day are left alone, unless an interrupted run on this machine left them.
    """
    from vssync.commands.gc import delete_orphans, find_orphans
    from vssync.render.json import orphans_json

    with session_with_progress(options.settings()) as session, lock_or_wait(session, lock_timeout) as journal:
        orphans = find_orphans(session, journal, suspected=suspected)
        left = delete_orphans(session, journal, orphans) if yes else orphans
    deleted = len(orphans) - len(left)
    if output_format == "json":
        click.echo(orphans_json(left, session.loaded.desired.owner, deleted=deleted if yes else None))
        return INCOMPLETE if yes and left else DONE
    for orphan in left:
        note = "  suspected" if orphan.suspected else ""
        click.echo(f"  {escape_control(orphan.file_id)}{note}  {escape_control(orphan.detail)}")
    if (unanswered := len(journal.past.suspected)) and not suspected:
        click.echo(
            f"{count_noun(unanswered, 'upload')} got no answer and may exist: `vssync gc --suspected` looks for them."
        )
    if not yes:
        click.echo(f"{count_noun(len(orphans), 'orphan')}." + (" Delete with --yes." if orphans else ""))
        return DONE
    click.echo(f"{count_noun(deleted, 'orphan')} deleted, {len(left):,} left.")
    return INCOMPLETE if left else DONE
