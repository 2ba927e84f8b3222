"""`vssync destroy`: deletes everything that the manifest owns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

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
    apply_with_progress,
    approve,
    confirm_owner,
    each_of,
    load_with_progress,
    lock_or_wait,
    print_report,
    read_with_progress,
    session_with_progress,
)
from vssync.errors import Refused
from vssync.text import escape_control, join_words


@verb
@shared_options(*SERVICE, *VIEW, DELETE_UNMANAGED, DELETE_UNLISTED, ALLOW_GAP)
@option("--confirm", "The owner (owner/env), given here instead of at the prompt.", metavar="OWNER")
@JSON_FORMAT
@LOCK_TIMEOUT
def destroy(options: CommandOptions, confirm: str | None, lock_timeout: float) -> int:
    """Delete everything that this manifest owns in the service; refused if a store is protected.

    `-e 'pr-*'` deletes each live environment of that pattern, if the manifest declares it; type or give its owner with
    the pattern, such as `kb/pr-*`.
    """
    from vssync.manifest.environments import is_pattern

    if is_pattern(options.env or ""):
        return _destroy_live(options, confirm, lock_timeout)
    return _destroy(options, lambda owner: confirm_owner(owner, confirm), lock_timeout)


def _destroy_live(options: CommandOptions, confirm: str | None, lock_timeout: float) -> int:
    """Deletes what a pattern made live; the names are shown, and asked for once."""
    from vssync.commands.environments import declared_environments, expand_environments

    pattern, settings = options.env or "", options.settings()
    if pattern not in declared_environments(settings.manifest):
        raise Refused(f"{pattern}: the manifest declares no such pattern; name one environment, or one of its patterns")
    names = expand_environments(settings, pattern, live=True, named=False)
    if not names:
        click.echo(f"Nothing to delete: no environment of the pattern {pattern} has stores.")
        return DONE
    click.echo(f"Live: {join_words(list(names))}.", err=True)
    loaded = load_with_progress(replace(settings, env=names[0]), hashed=False)
    confirm_owner(f"{loaded.manifest.owner_name}/{pattern}", confirm)
    show = partial(_destroy, confirm=lambda _: None, lock_timeout=lock_timeout)
    return each_of(names, options, show)


def _destroy(options: CommandOptions, confirm: Callable[[str], None], lock_timeout: float) -> int:
    from vssync.commands.destroy import plan_destruction

    opening = session_with_progress(options.settings(), hashed=False)
    with opening as session, lock_or_wait(session, lock_timeout) as journal:
        allowed = options.delete_unmanaged, options.delete_unlisted
        plan = read_with_progress(session, lambda: plan_destruction(session, *allowed, allow_gap=options.allow_gap))
        if plan.empty and not plan.refusals and options.output_format == "text":
            click.echo(f"Nothing to delete: no store in this service carries the mark of {escape_control(plan.owner)}.")
            return DONE
        if not approve(plan, options, lambda: confirm(plan.owner)):
            return REFUSED
        report = apply_with_progress(session, plan, journal, options)
        return print_report(session, report, options, kind="destroy")
