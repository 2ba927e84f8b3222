"""`vssync init`: asks on a terminal, or takes flags, and writes a manifest with comments."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import exit_codes
from vssync.providers import PROVIDERS

if TYPE_CHECKING:
    from vssync.commands.init import DraftEntry, ManifestDraft


_PROVIDERS = click.Choice(list(PROVIDERS))


@click.command()
@click.option(
    "-f",
    "--file",
    "manifest",
    default=".",
    type=click.Path(path_type=Path),
    metavar="PATH",
    envvar="VSSYNC_FILE",
    show_envvar=True,
    help="The manifest to write, or its folder.  [default: the current folder]",
)
@click.option("--name", help="The name of the manifest.  [default: the folder's, with a random suffix]")
@click.option("--provider", type=_PROVIDERS, help="The kind of service.  [default: local]")
@click.option(
    "--path", "paths", multiple=True, metavar="GLOB", help="Files to include.  [default: the documents found]"
)
@click.option("--region", help="For oci: the region.")
@click.option("--project", help="For oci: the OCID of the Generative AI project.")
@click.option("--compartment", help="For oci: the OCID of the project's compartment.")
@click.option("--data-url", help="For compatible: the service's base URL.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask, and use the defaults; implied without a terminal.")
def init(manifest: Path, yes: bool, **given: Any) -> int:
    """Write a commented manifest for the documents in a folder; existing files are not overwritten."""
    from vssync.commands.init import manifest_path, write_manifest

    path = manifest_path(manifest)
    draft = _draft(path, given, asking=sys.stdin.isatty() and not yes)
    ignored = write_manifest(path, draft)
    click.echo(f"Wrote {path}.")
    if ignored:
        click.echo(f"Added .vssync/ to {ignored}.")
    return _checked(path)


def _draft(path: Path, given: dict[str, Any], *, asking: bool) -> ManifestDraft:
    """What the manifest is to say, by flags, then answers, then what the folder suggests."""
    from vssync.commands.init import (
        DraftEntry,
        draft_manifest,
        propose_entries,
        suggested_name,
        survey_folder,
    )

    def answer(flag: str, question: str, usual: str, kind: Any = None) -> str:
        if given[flag] or not asking:
            return given[flag] or usual
        told: str = click.prompt(question, default=usual, type=kind, err=True)
        return told

    provider = answer("provider", "Provider", "local", _PROVIDERS)
    suggested = suggested_name(path.resolve().parent.name, secrets.token_hex(3))
    name = answer("name", "Name", suggested, _name)
    service = {
        field.name: answer(field.name, f"{field.question[0].upper()}{field.question[1:]}", field.example)
        for field in PROVIDERS[provider].wizard_fields
    }
    entries = tuple(map(DraftEntry, given["paths"])) or propose_entries(survey_folder(path.parent), provider)
    if asking and not given["paths"]:
        entries = _asked(entries)
    return draft_manifest(path, name, provider, service, entries)


def _name(told: str) -> str:
    """A name that was told, checked at once so that it is asked for again."""
    from vssync.commands.init import NAMED, is_name

    if not is_name(told):
        raise click.BadParameter(NAMED)
    return told


def _asked(found: tuple[DraftEntry, ...]) -> tuple[DraftEntry, ...]:
    """The files as found, or as patterns that a person gives instead."""
    from vssync.commands.init import DraftEntry
    from vssync.text import escape_control

    click.echo("Files:", err=True)
    for entry in found:
        click.echo(f"  {escape_control(entry.path)}", err=True)
    told = click.prompt(
        "Other patterns, with spaces between, or Enter for these", default="", show_default=False, err=True
    )
    return tuple(map(DraftEntry, told.split())) or found


def _checked(path: Path) -> int:
    """Says what the new manifest holds, or what a person must mend in it."""
    from vssync.commands.session import Settings, load_manifest
    from vssync.errors import ManifestError
    from vssync.text import count_noun, escape_control

    try:
        desired = load_manifest(Settings(manifest=str(path)), hashed=False).desired
    except ManifestError as error:
        click.echo("\n".join(["It needs a change:", *map(escape_control, str(error).split("\n"))]), err=True)
        return error.exit_code
    files = sum(len(store.files) for store in desired.stores)
    click.echo(f"{desired.owner}: valid. {count_noun(files, 'file')} in {count_noun(len(desired.stores), 'store')}.")
    where = "" if str(path) == "vssync.yaml" else f" -f {quote(str(path))}"
    click.echo(f"Next: vssync plan{where}")
    return exit_codes.DONE
