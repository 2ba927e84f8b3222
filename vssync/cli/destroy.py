"""`vssync destroy`: deletes everything of this manifest's owner."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli.options import make_settings, manifest_options, service_options, view_options
from vssync.cli.session import (
    carry_out,
    is_confirmed,
    json_format_option,
    lock_or_wait,
    lock_timeout_option,
    open_session_or_exit,
    plan_with_progress,
)


@click.command()
@manifest_options
@service_options
@view_options
@click.option("--confirm", metavar="NAME", help="The manifest's name (name/env), given here instead of at the prompt.")
@click.option("--delete-unmanaged", type=int, metavar="N", help="Allow deleting stores with up to N unmanaged files.")
@json_format_option
@lock_timeout_option
def destroy(confirm: str | None, delete_unmanaged: int | None, form: str, lock_timeout: float, **given: Any) -> int:
    """Delete all that this manifest owns in the service; refused if a store is protected."""
    from vssync.commands.destroy import plan_destruction

    begun = open_session_or_exit(make_settings(given), hashed=False)
    with begun as work, lock_or_wait(work, lock_timeout) as record:
        planned = plan_with_progress(work, lambda: plan_destruction(work, delete_unmanaged=delete_unmanaged))
        return carry_out(
            work,
            planned,
            form,
            {**given, "fail_fast": False},
            question=lambda: is_confirmed(planned.owner, confirm),
            record=record,
            kind="destroy",
        )
