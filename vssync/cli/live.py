"""The commands about what is live: status, search, batches, cancel, destroy."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, endings, flags, shared


@click.command()
@flags.manifest
@flags.service
@flags.shown
@shared.detailed
@click.argument("address", required=False, shell_complete=completion.addresses)
def status(address: str | None, detailed_exitcode: bool, **given: Any) -> int:
    """Show the id and files of each store, and whether it agrees with the manifest.

    With the ADDRESS of a file, such as docs/guide/intro.md, show that file: as declared, as live, as planned.
    """
    from vssync import workflow
    from vssync.plan import Options
    from vssync.render import inspection_text, status_text

    with shared.begun(flags.settings(given)) as work:
        if address and "/" in address:
            click.echo(inspection_text(workflow.inspect(work, address), work.loaded.desired))
            return endings.DONE
        options = Options(targets=(address,) if address else ())
        planned = shared.planned(work, lambda: workflow.plan(work, options))
    click.echo(status_text(planned, flags.view(given)), color=True)
    return shared.code_of(planned, detailed_exitcode) if detailed_exitcode else endings.DONE


@click.command()
@flags.manifest
@flags.service
@flags.shown
@click.option(
    "-s",
    "--store",
    shell_complete=completion.stores,
    help="Search only this store.  [default: all of them]",
)
@click.option(
    "-n",
    "--most",
    type=click.IntRange(1, 50),
    metavar="N",
    default=5,
    show_default=True,
    help="The number of results at most.",
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("question")
def search(question: str, store: str | None, most: int, form: str, **given: Any) -> int:
    """Search the live stores, as an application would."""
    from vssync import workflow
    from vssync.render import search_json, search_text

    with shared.begun(flags.settings(given), hashed=False) as work:
        hits = workflow.search(work, question, most, store)
    click.echo(search_json(hits) if form == "json" else search_text(hits, flags.view(given)), color=True)
    return endings.DONE


@click.command()
@flags.manifest
@flags.service
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("store", required=False, shell_complete=completion.stores)
def batches(store: str | None, form: str, **given: Any) -> int:
    """List the file batches in progress, in all stores or in STORE."""
    from vssync import workflow
    from vssync.render import batches_json, batches_text

    with shared.begun(flags.settings(given)) as work:
        rows = workflow.batches(work, store)
    click.echo(batches_json(rows) if form == "json" else batches_text(rows, work.loaded.desired))
    return endings.DONE


@click.command()
@flags.manifest
@flags.service
@shared.lock_timeout
@click.argument("batch_id", metavar="ID")
def cancel(batch_id: str, lock_timeout: float, **given: Any) -> int:
    """Cancel a file batch in progress whose files this manifest owns."""
    from vssync import workflow

    with shared.begun(flags.settings(given)) as work, shared.alone(work, lock_timeout) as record:
        status = workflow.cancel(work, batch_id, record)
    click.echo(f"{batch_id}: asked to stop; it is now {status.replace('_', ' ')}. Plan again to see what is left.")
    return endings.DONE


@click.command()
@flags.manifest
@flags.service
@flags.shown
@click.option("--confirm", metavar="NAME", help="The manifest's name (name/env), given here instead of at the prompt.")
@click.option("--delete-unmanaged", type=int, metavar="N", help="Allow deleting stores with up to N unmanaged files.")
@shared.lock_timeout
def destroy(confirm: str | None, delete_unmanaged: int | None, lock_timeout: float, **given: Any) -> int:
    """Delete all that this manifest owns in the service; refused if a store is protected."""
    from vssync import workflow

    begun = shared.begun(flags.settings(given), hashed=False)
    with begun as work, shared.alone(work, lock_timeout) as record:
        planned = shared.planned(work, lambda: workflow.destruction(work, delete_unmanaged=delete_unmanaged))
        return shared.carry_out(
            work,
            planned,
            "text",
            {**given, "fail_fast": False},
            question=lambda: shared.confirmed(planned.owner, confirm),
            record=record,
        )
