"""Shell completion: the script a shell loads, and the names it completes from the manifest.

Where the manifest cannot be read, nothing is completed: an error has no place in a half-typed command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli.help import Choice, verb
from vssync.errors import VssyncError

if TYPE_CHECKING:
    from vssync.model.state import Desired

VARIABLE = "_VSSYNC_COMPLETE"


@verb
@click.argument("shell", metavar="bash|zsh|fish", type=Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print a completion script for your shell.

    It completes commands, options, environments, stores and the addresses of files.
    """
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None, "click knows the shells that the argument takes"
    program = click.get_current_context().find_root().command
    click.echo(completer(program, {}, "vssync", VARIABLE).source())


def _completer(
    list_names: Callable[[click.Context, str], Iterable[str]],
) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            return [name for name in list_names(context, incomplete) if name.startswith(incomplete)]
        except (VssyncError, OSError, UnicodeDecodeError):
            return []

    return complete


@_completer
def complete_environments(context: click.Context, _incomplete: str) -> Iterable[str]:
    """The declared environments; a pattern such as `pr-*` stands for names that nobody can list."""
    from vssync.manifest.yaml_loader import parse_document
    from vssync.sources.load import find_manifest

    manifest = find_manifest(Path(context.params.get("manifest") or "."))
    declared = parse_document(manifest.read_text("utf-8"), str(manifest)).tree.get("environments")
    return [name for name in declared if "*" not in name] if isinstance(declared, dict) else []


@_completer
def complete_stores(context: click.Context, _incomplete: str) -> Iterable[str]:
    return [store.key for store in _load_desired(context).stores]


@_completer
def complete_addresses(context: click.Context, incomplete: str) -> Iterable[str]:
    """Store keys, and after a `/` the addresses of files."""
    stores = _load_desired(context).stores
    files = [f"{store.key}/{file.key}" for store in stores for file in store.files]
    return files if "/" in incomplete else [store.key for store in stores]


def _load_desired(context: click.Context) -> Desired:
    from vssync.commands.session import Settings, load_manifest, parse_variables

    values = context.params
    settings = Settings(
        manifest=values.get("manifest") or ".",
        env=values.get("env"),
        variables=parse_variables(values.get("variables") or ()),
        allow_outside=values.get("allow_outside") or (),
        allow_large=values.get("allow_large") or False,
    )
    return load_manifest(settings, hashed=False).desired
