"""`vssync render`: the manifest as inheritance, environment and variables leave it."""

from __future__ import annotations

from typing import Any

import click

from vssync.cli import completion, exit_codes
from vssync.cli.options import make_settings, manifest_options


@click.command()
@manifest_options
@click.option(
    "--files", is_flag=True, help="Also list each file: its attributes, chunking and digest, and where they come from."
)
@click.option(
    "-t",
    "--target",
    "targets",
    multiple=True,
    metavar="ADDRESS",
    shell_complete=completion.addresses,
    help="With --files, list only these (glob).",
)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), default="yaml", show_default=True)
def render(files: bool, targets: tuple[str, ...], form: str, **given: Any) -> int:
    """Print the resolved manifest: with inheritance, the environment and variables applied.

    The output is a valid manifest that has no environments. `--files` adds comments to it (in JSON, `x-files`).
    """
    from vssync.cli.progress.lines import hashing
    from vssync.commands.render import trace_files
    from vssync.commands.session import load_manifest
    from vssync.render.manifest import manifest_json, manifest_yaml

    if targets and not files:
        raise click.UsageError("--target: chooses files, which only --files shows")
    with hashing() as on_hashed:
        loaded = load_manifest(make_settings(given), hashed=files, on_hashed=on_hashed)
    traced = trace_files(loaded, targets) if files else ()
    click.echo((manifest_json if form == "json" else manifest_yaml)(loaded.manifest, traced), color=True)
    return exit_codes.DONE
