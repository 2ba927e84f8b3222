"""`vssync dump`: a manifest for a store that exists already."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import exit_codes
from vssync.cli.help import CONNECTION, option, verb
from vssync.cli.options import SERVICE_OPTIONS, CommandOptions, shared_options
from vssync.errors import Refused, VssyncError
from vssync.providers import PROVIDERS

if TYPE_CHECKING:
    from vssync.model.state import ServiceSpec

_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)
_PROVIDERS = click.Choice(list(PROVIDERS))


@verb
@shared_options(SERVICE_OPTIONS)
@option("-s", "--store", required=True, metavar="NAME|ID", help="The name or id of the store.")
@option("-o", "--out", type=_FILE, help="Write the manifest here.  [default: stdout]")
@option("--match", type=_FOLDER, metavar="DIR", help="Look for the store's files in this folder.")
@option("--download", type=_FOLDER, metavar="DIR", help="Download files that have no local match into this folder.")
@option("--name", help="The name of the manifest.  [default: the store's, with a random suffix]")
@option("--provider", heading=CONNECTION, type=_PROVIDERS, help="Use this service, not the manifest's.")
@option("--project", heading=CONNECTION, default="", help="With --provider oci: the OCID of the project.")
@option("--compartment", heading=CONNECTION, default="", help="With --provider oci: the OCID of its compartment.")
@option("--data-url", heading=CONNECTION, default="", help="With --provider: its base URL; required for `compatible`.")
@option(
    "--control-url",
    heading=CONNECTION,
    default="",
    help="With --provider: the base URL of stores themselves, if it differs.",
)
def dump(
    options: CommandOptions,
    *,
    store: str,
    out: Path | None,
    match: Path | None,
    download: Path | None,
    name: str | None,
    provider: str | None,
    **service_fields: str,
) -> int:
    """Write a manifest for an existing store, ready for `vssync apply --adopt`.

    Files are listed by local path where one file matches, and by id otherwise; comments say how certain each match is.
    The store is looked up in the manifest's service, or in the one that --provider names. Nothing is changed there.
    """
    import secrets

    from vssync.commands.dump.run import DumpRequest, dump_store
    from vssync.commands.init import NAME_RULE, is_name, suggested_name
    from vssync.commands.session import open_connection
    from vssync.sources.load import MANIFEST_NAME
    from vssync.sources.write import write_file

    out = None if out == Path("-") else out
    if out and (out.is_symlink() or out.exists()):
        raise Refused(f"{out}: exists already, and nothing was written. Move it away, or name another file.")
    target = out or Path(MANIFEST_NAME)
    owner = name or suggested_name(store, secrets.token_hex(3))
    if not is_name(owner):
        raise click.UsageError(f"--name {owner}: {NAME_RULE}")
    service, beside = _select_service(options, target, provider, service_fields)
    with open_connection(options.settings(), service, beside) as connection:
        text = dump_store(connection, service, DumpRequest(store, owner, target, match, download))
    if out is None:
        click.echo(text, nl=False)
        return exit_codes.DONE
    try:
        write_file(out, text)
    except OSError as error:
        raise VssyncError(f"{out}: cannot be written: {error.strerror}") from error
    click.echo(f"Wrote {out}.\nNext: vssync plan --adopt -f {quote(str(out))}")
    return exit_codes.DONE


def _select_service(
    options: CommandOptions, target: Path, provider: str | None, fields: dict[str, Any]
) -> tuple[ServiceSpec, Path]:
    """The service that --provider names, or the manifest's, and the manifest that an embedded one lies beside."""
    from vssync.commands.session import load_manifest
    from vssync.model.state import ServiceSpec

    if provider:
        return ServiceSpec(provider, region=options.region, **fields), target.parent
    if stray := next((name for name, value in fields.items() if value), None):
        raise click.UsageError(f"--{stray.replace('_', '-')}: needs --provider")
    return load_manifest(options.settings(), hashed=False).desired.service, Path(options.manifest)
