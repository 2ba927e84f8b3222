"""`vssync destroy`: deletes everything that the manifest owns."""

from __future__ import annotations

import click

from vssync.cli.help import option, verb
from vssync.cli.options import (
    ALLOW_GAP,
    DELETE_UNLISTED,
    DELETE_UNMANAGED,
    JSON_FORMAT,
    LOCK_TIMEOUT,
    SERVICE,
    VIEW,
    CommandOptions,
    shared_options,
)
from vssync.cli.process import DONE, REFUSED
from vssync.cli.session import (
    apply_and_report,
    approve,
    confirm_owner,
    lock_or_wait,
    read_with_progress,
    session_with_progress,
)
from vssync.text import escape_control


@verb
@shared_options(*SERVICE, *VIEW, DELETE_UNMANAGED, DELETE_UNLISTED, ALLOW_GAP)
@option("--confirm", "The owner (owner/env), given here instead of at the prompt.", metavar="OWNER")
@JSON_FORMAT
@LOCK_TIMEOUT
def destroy(options: CommandOptions, confirm: str | None, lock_timeout: float) -> int:
    """Delete everything that this manifest owns in the service; refused if a store is protected."""
    from vssync.commands.destroy import plan_destruction

    opening = session_with_progress(options.settings(), hashed=False)
    with opening as session, lock_or_wait(session, lock_timeout) as journal:
        allowed = options.delete_unmanaged, options.delete_unlisted
        plan = read_with_progress(session, lambda: plan_destruction(session, *allowed, allow_gap=options.allow_gap))
        if plan.empty and not plan.refusals and options.output_format == "text":
            click.echo(f"Nothing to delete: no store in this service carries the mark of {escape_control(plan.owner)}.")
            return DONE
        if not approve(plan, options, lambda: confirm_owner(plan.owner, confirm)):
            return REFUSED
        return apply_and_report(session, plan, journal, options, kind="destroy")
