"""`vssync schema`: the schemas that editors and programs check manifests, plans and reports with."""

from __future__ import annotations

import click

from vssync.cli import exit_codes


@click.command()
@click.argument("which", metavar="manifest|plan|report", type=click.Choice(["manifest", "plan", "report"]))
def schema(which: str) -> int:
    """Print the JSON schema of a manifest, a plan (`plan --format json`) or a report (`apply --format json`)."""
    from vssync.sources.schemas import schema_text

    click.echo(schema_text(f"{which}.schema.json"), nl=False)
    return exit_codes.DONE
