"""`vssync validate`: checks the manifest and the files it names, without a service."""

from __future__ import annotations

import click

from vssync.cli import exit_codes
from vssync.cli.help import verb
from vssync.cli.options import MANIFEST_OPTIONS, CommandOptions, shared_options
from vssync.cli.session import format_valid


@verb
@shared_options(MANIFEST_OPTIONS)
def validate(options: CommandOptions) -> int:
    """Check the manifest and the files it names, without contacting a service."""
    from vssync.commands.session import load_manifest

    click.echo(format_valid(load_manifest(options.settings(), hashed=False).desired))
    return exit_codes.DONE
