"""`vssync render`: the manifest with inheritance, environment and variables applied."""

from __future__ import annotations

from pathlib import Path

import click

from vssync.cli.help import FILE, option, verb
from vssync.cli.options import ENGINE, ONE_ENVIRONMENT, CommandOptions, address_option, format_option, shared_options
from vssync.cli.process import print_error
from vssync.cli.session import load_with_progress


@verb
@shared_options(*ONE_ENVIRONMENT, ENGINE)
@option("--files", "Also list each file: its attributes, chunking and digest, and where they come from.", is_flag=True)
@option("--converted", "Print this file as the Markdown that `formats: markdown` makes of it.", type=FILE)
@address_option("-t --target targets", "With --files, list only these (glob).")
@format_option("yaml", "json")
def render(options: CommandOptions, files: bool, converted: Path | None) -> None:
    """Print the resolved manifest: with inheritance, the environment and variables applied.

    The output is a valid manifest that has no environments. `--files` adds comments to it (in JSON, `x-files`).
    """
    if converted:
        from vssync.sources.convert import convert_document

        click.echo(convert_document(converted, options.settings().converter), nl=False)
        return
    from vssync.commands.status import trace_files
    from vssync.render.manifest import manifest_json, manifest_yaml

    if options.targets and not files:
        raise click.UsageError("--target: needs --files")
    loaded = load_with_progress(options.settings(), hashed=files)
    traced = trace_files(loaded, options.targets) if files else ()
    show = manifest_json if options.output_format == "json" else manifest_yaml
    click.echo(show(loaded.manifest, traced), color=True)
    if loaded.manifest.env:
        owner, alone = loaded.manifest.owner, loaded.manifest.owner_name
        note = f"note: this environment has the owner {owner}; applied by itself, this manifest has {alone}"
        print_error(note, level="info")
