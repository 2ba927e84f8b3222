"""`vssync validate`: checks the manifest and the files it names; asks no service."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import make_settings, manifest_options
from vssync.cli.session import json_format_option


@click.command()
@manifest_options
@json_format_option
def validate(form: str, **given: Any) -> int:
    """Check the manifest and the files it names, without contacting a service."""
    from vssync.commands.session import load_manifest
    from vssync.errors import ManifestError
    from vssync.render.json import validation_json
    from vssync.text import count_noun

    try:
        desired = load_manifest(make_settings(given), hashed=False).desired
    except ManifestError as error:
        if form == "json":
            click.echo(validation_json(None, error.problems))
        raise
    if form == "json":
        click.echo(validation_json(desired))
        return exit_codes.DONE
    files = count_noun(sum(len(store.files) for store in desired.stores), "file")
    click.echo(f"{desired.owner}: valid. {files} in {count_noun(len(desired.stores), 'store')}.")
    return exit_codes.DONE
