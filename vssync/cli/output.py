"""`vssync output`: where applications find their stores."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, endings, flags, shared

_FORMATS = click.Choice(["text", "json", "dotenv", "github", "id"])


@click.command()
@flags.manifest
@flags.service
@click.option("--format", "form", type=_FORMATS, default="text", show_default=True)
@click.argument("store", required=False, shell_complete=completion.stores)
def output(store: str | None, form: str, **given: Any) -> int:
    """Print the id, name and content digest of every store, or of STORE.

    Stores with equal digests are declared with the same files, attributes and chunking. A store that does not exist yet
    is an error.
    """
    from vssync import output as rendered
    from vssync import workflow
    from vssync.plan import Options

    with shared.begun(flags.settings(given)) as work:
        options = Options(targets=(store,) if store else ())
        planned = shared.planned(work, lambda: workflow.plan(work, options))
    show = {
        "text": rendered.output_text,
        "json": rendered.output_json,
        "dotenv": rendered.output_dotenv,
        "github": rendered.output_github,
        "id": rendered.output_id,
    }[form]
    click.echo(show(planned))
    return endings.DONE
