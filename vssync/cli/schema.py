"""`vssync schema`: the JSON schemas of manifests, plans and reports."""

from __future__ import annotations

import click

from vssync.cli import exit_codes
from vssync.cli.help import verb


@verb
@click.argument("kind", metavar="manifest|plan|report", type=click.Choice(["manifest", "plan", "report"]))
def schema(kind: str) -> int:
    """Print the JSON schema of a manifest, a plan (`plan --format json`) or a report (`apply --format json`)."""
    from vssync.sources.schemas import schema_text

    click.echo(schema_text(f"{kind}.schema.json"), nl=False)
    return exit_codes.DONE
