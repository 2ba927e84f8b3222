"""`vssync validate`: checks the manifest and the files it names, without a service."""

from __future__ import annotations

import click

from vssync.cli.help import verb
from vssync.cli.options import JSON_FORMAT, ONE_ENVIRONMENT, CommandOptions, shared_options
from vssync.cli.session import format_valid
from vssync.errors import ManifestError


@verb
@shared_options(*ONE_ENVIRONMENT, JSON_FORMAT)
def validate(options: CommandOptions, output_format: str) -> None:
    """Check the manifest and the files it names, without contacting a service."""
    from vssync.commands.session import load_manifest
    from vssync.render.json import validation_json

    try:
        desired = load_manifest(options.settings(), hashed=False).desired
    except ManifestError as error:
        if output_format == "json":
            click.echo(validation_json(None, error.problems))
        raise
    click.echo(validation_json(desired) if output_format == "json" else format_valid(desired))
