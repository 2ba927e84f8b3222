"""`vssync dump`: a manifest for a store that exists already."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

import click

from vssync.cli.help import CONNECTION, FILE, FOLDER, option, verb
from vssync.cli.options import SERVICE, CommandOptions, shared_options
from vssync.cli.session import print_warnings
from vssync.errors import Refused, VssyncError
from vssync.providers import PROVIDERS
from vssync.text import escape_control

if TYPE_CHECKING:
    from vssync.model.service import ServiceSpec

_connection = partial(option, heading=CONNECTION)


@verb
@shared_options(*SERVICE)
@option("-s --store", "The name or id of the store.", required=True, metavar="NAME|ID")
@option("-o --out", "Write the manifest here.  [default: stdout]", type=FILE)
@option("--match", "Look for the store's files in this folder.", type=FOLDER, metavar="DIR")
@option("--download", "Download files that have no local match into this folder.", type=FOLDER, metavar="DIR")
@option("--owner", "The owner of what the manifest takes over.  [default: the store's, with a random suffix]")
@_connection("--provider", "Use this service, not the manifest's.", type=click.Choice(list(PROVIDERS)))
@_connection("--project", "With --provider oci: the OCID of the project.", default="")
@_connection("--compartment", "With --provider oci: the OCID of its compartment.", default="")
@_connection("--data-url", "With --provider: its base URL; required for `azure` and `compatible`.", default="")
@_connection("--control-url", "With --provider: the base URL of stores themselves, if it differs.", default="")
def dump(
    options: CommandOptions,
    *,
    store: str,
    out: Path | None,
    match: Path | None,
    download: Path | None,
    owner: str | None,
    provider: str | None,
    **service_fields: str,
) -> None:
    """Write a manifest for an existing store, ready for `vssync apply`, which takes it over.

    Files are listed by local path where one file matches, and by id otherwise; comments say how certain each match is.
    The store is looked up in the manifest's service, or in the one that --provider names. Nothing is changed there.
    """
    import secrets

    from vssync.commands.dump.run import DumpRequest, dump_store
    from vssync.commands.init import NAME_RULE, is_name, suggested_name
    from vssync.commands.session import open_connection
    from vssync.files import write_file
    from vssync.sources.load import MANIFEST_NAME

    out = None if out == Path("-") else out
    if out and (out.is_symlink() or out.exists()):
        raise Refused(f"{out}: exists already, and nothing was written. Move it away, or name another file.")
    target = out or Path(MANIFEST_NAME)
    owner = owner or suggested_name(store, secrets.token_hex(3))
    if not is_name(owner):
        raise click.UsageError(f"--owner {owner}: {NAME_RULE}")
    service, beside = _select_service(options, target, provider, service_fields)
    settings = options.settings()
    with open_connection(settings, service, beside) as connection:
        print_warnings(connection.client.sender.warnings)
        text, plan_options = dump_store(connection, service, DumpRequest(store, owner, target, match, download))
    if out is None:
        click.echo(text, nl=False)
        return
    try:
        write_file(out, text)
    except OSError as error:
        raise VssyncError(f"{out}: cannot be written: {error.strerror}") from error
    command = join(["vssync", "plan", *plan_options, "-f", str(out), *settings.words])
    click.echo(f"Wrote {out}.\nNext: {escape_control(command)}")


def _select_service(
    options: CommandOptions, target: Path, provider: str | None, fields: dict[str, Any]
) -> tuple[ServiceSpec, Path]:
    """The service that --provider names, or the manifest's, and the manifest that an embedded one lies beside."""
    from vssync.commands.session import load_manifest
    from vssync.model.service import ServiceSpec

    if provider:
        return ServiceSpec(provider, region=options.region, **fields), target.parent
    if stray := next((name for name, value in fields.items() if value), None):
        raise click.UsageError(f"--{stray.replace('_', '-')}: needs --provider")
    return load_manifest(options.settings(), hashed=False).desired.service, Path(options.manifest)
