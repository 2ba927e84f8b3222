"""`vssync init`: asks on a terminal, or takes flags, and writes a manifest with comments."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import endings

if TYPE_CHECKING:
    from vssync.scaffold import Draft, Entry

_PROVIDERS = click.Choice(["local", "oci", "openai", "compatible"])


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
    from vssync import start

    path = start.place(manifest)
    draft = _draft(path, given, asking=sys.stdin.isatty() and not yes)
    ignored = start.write(path, draft)
    click.echo(f"Wrote {path}.")
    if ignored:
        click.echo(f"Added .vssync/ to {ignored}.")
    return _checked(path)


def _draft(path: Path, given: dict[str, Any], *, asking: bool) -> Draft:
    """What the manifest is to say, by flags, then answers, then what the folder suggests."""
    from vssync import scaffold, start

    def answer(flag: str, question: str, usual: str, kind: Any = None) -> str:
        if given[flag] or not asking:
            return given[flag] or usual
        told: str = click.prompt(question, default=usual, type=kind, err=True)
        return told

    provider = answer("provider", "Provider", "local", _PROVIDERS)
    suggested = scaffold.suggested_name(path.resolve().parent.name, secrets.token_hex(3))
    name = answer("name", "Name", suggested, _name)
    service = {
        field.name: answer(field.name, f"{field.question[0].upper()}{field.question[1:]}", field.example)
        for field in scaffold.FIELDS[provider]
    }
    entries = tuple(map(scaffold.Entry, given["paths"])) or scaffold.proposed(start.survey(path.parent), provider)
    if asking and not given["paths"]:
        entries = _asked(entries)
    return start.draft(path, name, provider, service, entries)


def _name(told: str) -> str:
    """A name that was told, checked at once so that it is asked for again."""
    from vssync import scaffold

    if not scaffold.is_name(told):
        raise click.BadParameter(scaffold.NAMED)
    return told


def _asked(found: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The files as found, or as patterns that a person gives instead."""
    from vssync import scaffold
    from vssync.render import clean

    click.echo("Files:", err=True)
    for entry in found:
        click.echo(f"  {clean(entry.path)}", err=True)
    told = click.prompt(
        "Other patterns, with spaces between, or Enter for these", default="", show_default=False, err=True
    )
    return tuple(map(scaffold.Entry, told.split())) or found


def _checked(path: Path) -> int:
    """Says what the new manifest holds, or what a person must mend in it."""
    from vssync import workflow
    from vssync.errors import ManifestError
    from vssync.render import clean, number
    from vssync.settings import Settings

    try:
        desired = workflow.load(Settings(manifest=str(path)), hashed=False).desired
    except ManifestError as error:
        click.echo("\n".join(["It needs a change:", *map(clean, str(error).split("\n"))]), err=True)
        return error.exit_code
    files = sum(len(store.files) for store in desired.stores)
    click.echo(f"{desired.owner}: valid. {number(files, 'file')} in {number(len(desired.stores), 'store')}.")
    where = "" if str(path) == "vssync.yaml" else f" -f {quote(str(path))}"
    click.echo(f"Next: vssync plan{where}")
    return endings.DONE
