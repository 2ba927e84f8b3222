"""`vssync gc`: lists uploads of ours that no store holds, and deletes them when told to."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import endings, flags, shared


@click.command()
@flags.manifest
@flags.service
@shared.lock_timeout
@click.option("--suspected", is_flag=True, help="Include uploads that only look like vssync's, by name and size.")
@click.option("-y", "--yes", is_flag=True, help="Delete them.  [default: list them]")
def gc(suspected: bool, yes: bool, lock_timeout: float, **given: Any) -> int:
    """List orphaned uploads, such as interrupted runs leave behind; with --yes, delete them.

    An upload is orphaned when no store holds it, and vssync's own when this machine's journal or a digest in its name
    proves it. One younger than a day is spared, unless an interrupted run on this machine left it.
    """
    from vssync.render import clean, number
    from vssync.workflow import gc as work_of_gc

    with shared.begun(flags.settings(given)) as work, shared.alone(work, lock_timeout) as record:
        found = work_of_gc.orphans(work, record, suspected=suspected)
        left = work_of_gc.collect(work, record, found) if yes else ()
    for orphan in left if yes else found:
        click.echo(f"  {clean(orphan.file_id)}{'  suspected' if orphan.suspected else ''}  {clean(orphan.detail)}")
    if not yes:
        click.echo(f"{number(len(found), 'orphan')}." + (" Delete with --yes." if found else ""))
        return endings.DONE
    click.echo(f"{number(len(found) - len(left), 'orphan')} deleted, {len(left):,} left.")
    return endings.INCOMPLETE if left else endings.DONE
