"""`vssync gc`: lists orphaned uploads, and deletes them with --yes."""

from __future__ import annotations

import time
from dataclasses import replace

import click

from vssync.cli.help import option, verb
from vssync.cli.options import ENGINE, JSON_FORMAT, LOCK_TIMEOUT, SERVICE, CommandOptions, shared_options
from vssync.cli.process import DONE, INCOMPLETE
from vssync.cli.session import lock_or_wait, session_with_progress
from vssync.text import count_noun, escape_control


@verb
@shared_options(*SERVICE, ENGINE, JSON_FORMAT, LOCK_TIMEOUT)
@option("--suspected", "Include uploads that only look like vssync's, by name and size.", is_flag=True)
@option("-y --yes", "Delete them.  [default: list them]", is_flag=True)
def gc(options: CommandOptions, suspected: bool, yes: bool, lock_timeout: float) -> int:
    """List orphaned uploads, which interrupted runs can leave behind; with --yes, delete them.

    An upload is orphaned when no store holds it. It is vssync's own when this machine's journal or a digest in its name
    proves that. Uploads younger than a day are left alone, unless an interrupted run on this machine left them.
    """
    from vssync.commands.gc import delete_orphans, find_orphans, names_hold_digests
    from vssync.render.json import orphans_json

    settings = options.settings()
    opening = session_with_progress(settings, hashed=suspected or names_hold_digests(settings))
    with opening as session, lock_or_wait(session, lock_timeout) as journal:
        found = find_orphans(session, journal, suspected=suspected)
        left = delete_orphans(session, journal, found.orphans) if yes else found.orphans
    deleted = len(found.orphans) - len(left)
    code = INCOMPLETE if yes and left else DONE
    if options.output_format == "json":
        owner = session.loaded.desired.owner
        click.echo(orphans_json(replace(found, orphans=left), owner, deleted=deleted if yes else None))
        return code
    for orphan in left:
        note = "  suspected" if orphan.suspected else ""
        click.echo(f"  {escape_control(orphan.file_id)}{note}  {escape_control(orphan.detail)}")
    if (unanswered := len(journal.past.suspected)) and not suspected:
        click.echo(
            f"{count_noun(unanswered, 'upload')} got no answer and may exist: `vssync gc --suspected` looks for them."
        )
    if found.young:
        young = f"{count_noun(found.young, 'upload')} under a day old {'is' if found.young == 1 else 'are'} left alone"
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(found.young_until))
        click.echo(f"{young}, {'until' if found.young == 1 else 'the last until'} {until}.")
    if yes:
        click.echo(f"{count_noun(deleted, 'orphan')} deleted, {len(left):,} left.")
    else:
        click.echo(f"{count_noun(len(left), 'orphan')}." + (" Delete with --yes." if left else ""))
    return code
