"""`vssync dump`: the manifest of a store that exists already."""

from __future__ import annotations

import secrets
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import exit_codes
from vssync.cli.options import make_settings, manifest_options, service_options
from vssync.providers import PROVIDERS

if TYPE_CHECKING:
    from vssync.model.state import ServiceSpec


_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command()
@manifest_options
@service_options
@click.option("-s", "--store", required=True, metavar="NAME|ID", help="The name or id of the store.")
@click.option(
    "-o", "--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the manifest here.  [default: stdout]"
)
@click.option("--match", type=_FOLDER, metavar="DIR", help="Look for the store's files in this folder.")
@click.option(
    "--download", type=_FOLDER, metavar="DIR", help="Download files that have no local match into this folder."
)
@click.option("--name", help="The name of the manifest.  [default: the store's, with a random suffix]")
@click.option(
    "--provider",
    type=click.Choice(list(PROVIDERS)),
    help="Use this service, not the manifest's.",
)
@click.option("--project", default="", help="With --provider oci: the OCID of the project.")
@click.option("--compartment", default="", help="With --provider oci: the OCID of its compartment.")
@click.option("--data-url", default="", help="With --provider: its base URL; required for `compatible`.")
@click.option("--control-url", default="", help="With --provider: the base URL of stores themselves, if it differs.")
def dump(store: str, out: Path | None, match: Path | None, download: Path | None, **given: Any) -> int:
    """Write a manifest for an existing store, ready for `vssync apply --adopt`.

    Files are listed by local path where one file matches, and by id otherwise; comments say how certain each match is.
    The store is looked up in the manifest's service, or in the one that --provider names. Nothing is changed there.
    """
    from vssync.commands.dump.run import DumpRequest, dump_store
    from vssync.commands.init import is_name, suggested_name
    from vssync.commands.session import open_connection
    from vssync.errors import Refused, VssyncError
    from vssync.sources.load import MANIFEST_NAME
    from vssync.sources.write import write_file

    out = None if out == Path("-") else out
    if out and (out.is_symlink() or out.exists()):
        raise Refused(f"{out}: is there already, and nothing was written. Move it away, or name another.")
    place = out or Path(MANIFEST_NAME)
    owner = given["name"] or suggested_name(store, secrets.token_hex(3))
    if not is_name(owner):
        raise click.UsageError(f"--name {owner}: letters, digits, `.`, `-` and `_` only, at most 64 of them")
    service, beside = _service(given, place)
    with open_connection(make_settings(given), service, beside) as line:
        text = dump_store(line, service, DumpRequest(store, owner, place, match, download))
    if out is None:
        click.echo(text, nl=False)
        return exit_codes.DONE
    try:
        write_file(out, text)
    except OSError as error:
        raise VssyncError(f"{out}: cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {out}.\nNext: vssync plan --adopt -f {quote(str(out))}")
    return exit_codes.DONE


def _service(given: dict[str, Any], place: Path) -> tuple[ServiceSpec, Path]:
    """Which service to ask, and what the embedded one lies beside."""
    from vssync.commands.session import load_manifest
    from vssync.model.state import ServiceSpec

    fields = ("project", "compartment", "data_url", "control_url")
    if given["provider"]:
        told = {name: given[name] for name in fields}
        return ServiceSpec(given["provider"], region=given["region"], **told), place.parent
    if wrong := next((name for name in fields if given[name]), None):
        raise click.UsageError(f"--{wrong.replace('_', '-')}: goes with --provider")
    settings = make_settings(given)
    return load_manifest(settings, hashed=False).desired.service, Path(settings.manifest)
