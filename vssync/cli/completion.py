"""Shell completion: the script a shell loads, and the names it completes from the manifest at hand.

A completer says nothing where the manifest cannot be read: a half-typed command is no place for an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli import exit_codes

if TYPE_CHECKING:
    from vssync.model.state import Desired


VARIABLE = "_VSSYNC_COMPLETE"


@click.command()
@click.argument("shell", metavar="bash|zsh|fish", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> int:
    """Print a completion script for your shell.

    It completes commands, options, environments, stores and the addresses of files.
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that the argument takes"
    program = click.get_current_context().find_root().command
    click.echo(kind(program, {}, "vssync", VARIABLE).source())
    return exit_codes.DONE


def environments(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The declared environments; a pattern such as `pr-*` stands for names nobody can list."""
    return _fitting(lambda: [name for name in _declared(context) if "*" not in name], incomplete)


def stores(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """The keys of the manifest's stores."""
    return _fitting(lambda: [store.key for store in _desired(context).stores], incomplete)


def addresses(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Store keys, and after a `/` the addresses of files."""
    if "/" not in incomplete:
        return stores(context, parameter, incomplete)
    return _fitting(
        lambda: [f"{store.key}/{file.key}" for store in _desired(context).stores for file in store.files], incomplete
    )


def _fitting(names: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    from vssync.errors import VssyncError

    try:
        return [name for name in names() if name.startswith(incomplete)]
    except (VssyncError, OSError, UnicodeDecodeError):
        return []


def _declared(context: click.Context) -> Iterable[str]:
    from vssync.manifest.yaml_loader import parse_document
    from vssync.sources.load import find_manifest

    found = find_manifest(Path(context.params.get("manifest") or "."))
    declared = parse_document(found.read_text("utf-8"), str(found)).tree.get("environments")
    return declared if isinstance(declared, dict) else ()


def _desired(context: click.Context) -> Desired:
    from vssync.commands.session import Settings, load_manifest, pairs

    given = context.params
    settings = Settings(
        manifest=given.get("manifest") or ".",
        env=given.get("env"),
        variables=pairs(given.get("variables") or ()),
        allow_outside=given.get("allow_outside") or (),
    )
    return load_manifest(settings, hashed=False).desired
