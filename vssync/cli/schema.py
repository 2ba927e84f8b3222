"""`vssync schema`: the JSON schemas of the manifest, its questions, and what commands print as JSON."""

from __future__ import annotations

import click

from vssync.cli.help import Choice, verb

KINDS = (
    *("manifest", "questions", "plan", "report", "status", "batches", "search", "output", "diff", "doctor"),
    *("evidence", "gc", "validate", "destroy", "against", "test", "event"),
)


@verb
@click.argument("kind", metavar="KIND", type=Choice(KINDS))
def schema(kind: str) -> None:
    """Print the JSON schema of a manifest, or of what a command prints with `--format json`.

    KIND is `manifest`, `questions` (the file that `tests` names), or the `kind` that such a document names: `plan`,
    `report` (of `apply`), `destroy`, `status`, `batches`, `search`, `output`, `diff`, `doctor`, `evidence` (of
    `doctor --out`), `gc`, `validate`, `test`, `against` (of `plan --against`); or `event`, a line of stderr with
    `--log-format json`.
    """
    from vssync.sources.schemas import schema_text

    click.echo(schema_text(f"{kind}.schema.json"), nl=False)
