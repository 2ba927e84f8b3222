"""Shell completion: the script a shell loads, and the names it completes from the manifest.

Where the manifest cannot be read, nothing is completed: an error has no place in a half-typed command.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli import exit_codes
from vssync.cli.help import verb
from vssync.errors import VssyncError

if TYPE_CHECKING:
    from vssync.model.state import Desired

VARIABLE = "_VSSYNC_COMPLETE"


@verb
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print a completion script for your shell.

    It completes commands, options, environments, stores and the addresses of files.
    """
    from click.shell_completion import get_completion_class

    completer = get_completion_class(shell)
    assert completer is not None, "click knows the shells that the argument takes"
    program = click.get_current_context().find_root().command
    click.echo(completer(program, {}, "vssync", VARIABLE).source())
    return exit_codes.DONE


def complete_environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The declared environments; a pattern such as `pr-*` stands for names that nobody can list."""
    return _filter_names(incomplete, lambda: [name for name in _declared_environments(context) if "*" not in name])


def complete_stores(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The keys of the manifest's stores."""
    return _filter_names(incomplete, lambda: [store.key for store in _load_desired(context).stores])


def complete_addresses(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Store keys, and after a `/` the addresses of files."""
    if "/" not in incomplete:
        return complete_stores(context, parameter, incomplete)
    return _filter_names(
        incomplete,
        lambda: [f"{store.key}/{file.key}" for store in _load_desired(context).stores for file in store.files],
    )


def _filter_names(incomplete: str, list_names: Callable[[], Iterable[str]]) -> list[str]:
    try:
        return [name for name in list_names() if name.startswith(incomplete)]
    except (VssyncError, OSError, UnicodeDecodeError):
        return []


def _declared_environments(context: click.Context) -> Iterable[str]:
    from vssync.manifest.yaml_loader import parse_document
    from vssync.sources.load import find_manifest

    manifest = find_manifest(Path(context.params.get("manifest") or "."))
    declared = parse_document(manifest.read_text("utf-8"), str(manifest)).tree.get("environments")
    return declared if isinstance(declared, dict) else ()


def _load_desired(context: click.Context) -> Desired:
    from vssync.commands.session import Settings, load_manifest, parse_variables

    values = context.params
    settings = Settings(
        manifest=values.get("manifest") or ".",
        env=values.get("env"),
        variables=parse_variables(values.get("variables") or ()),
        allow_outside=values.get("allow_outside") or (),
    )
    return load_manifest(settings, hashed=False).desired
