"""`vssync validate`: checks the manifest and the files it names; asks no service."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import make_settings, manifest_options


@click.command()
@manifest_options
def validate(**given: Any) -> int:
    """Check the manifest and the files it names, without contacting a service."""
    from vssync.commands.session import load_manifest
    from vssync.text import count_noun

    desired = load_manifest(make_settings(given), hashed=False).desired
    files = count_noun(sum(len(store.files) for store in desired.stores), "file")
    click.echo(f"{desired.owner}: valid. {files} in {count_noun(len(desired.stores), 'store')}.")
    return exit_codes.DONE
