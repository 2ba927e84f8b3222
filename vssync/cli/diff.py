"""`vssync diff`: two environments of the manifest side by side."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, endings, flags, shared


@click.command()
@flags.environments
@flags.shown
@shared.detailed
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.argument("left", metavar="A", shell_complete=completion.environments)
@click.argument("right", metavar="B", shell_complete=completion.environments)
def diff(left: str, right: str, form: str, detailed_exitcode: bool, **given: Any) -> int:
    """Compare two environments of the manifest, A and B, without contacting a service.

    Settings are compared by name and files by key. Stores with equal content digests have the same content.
    """
    from vssync.compare import compare, comparison_json, comparison_text

    sides = [shared.loaded(flags.settings({**given, "env": env})).desired for env in (left, right)]
    found = compare(sides[0], sides[1], (left, right))
    click.echo(comparison_json(found) if form == "json" else comparison_text(found, flags.view(given)), color=True)
    return endings.CHANGES if detailed_exitcode and not found.same else endings.DONE
