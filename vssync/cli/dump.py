"""`vssync dump`: a manifest for stores that exist already."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from shlex import join
from typing import TYPE_CHECKING, Any

import click

from vssync.cli.help import CONNECTION, FOLDER, Choice, option, verb
from vssync.cli.options import SERVICE, CommandOptions, shared_options
from vssync.cli.session import print_warnings, read_with_progress
from vssync.errors import Refused
from vssync.providers import PROVIDERS
from vssync.text import count_noun, escape_control

if TYPE_CHECKING:
    from vssync.model.service import ServiceSpec

_connection = partial(option, heading=CONNECTION)


@verb
@shared_options(*SERVICE)
@option("-s --store", "The name or id of a store; may be repeated.", multiple=True, metavar="NAME|ID")
@option("--all", "Every store of the service.", is_flag=True)
@option(
    "-o --out",
    "Write the manifest here; into a folder (DIR/) with a file for each store.  [default: stdout]",
    metavar="FILE|DIR",
)
@option("--match", "Look for the stores' files in this folder.", type=FOLDER, metavar="DIR")
@option("--download", "Download files that have no local match into this folder.", type=FOLDER, metavar="DIR")
@option("--owner", "The owner of what the manifest takes over.  [default: the store's, with a random suffix]")
@_connection("--provider", "Use this service, not the manifest's.", type=Choice(list(PROVIDERS)))
@_connection("--project", "With --provider oci: the OCID of the project.", default="")
@_connection("--compartment", "With --provider oci: the OCID of its compartment.", default="")
@_connection("--data-url", "With --provider: its base URL; required for `azure` and `compatible`.", default="")
@_connection("--control-url", "With --provider: the base URL of stores themselves, if it differs.", default="")
def dump(
    options: CommandOptions,
    *,
    store: tuple[str, ...],
    all: bool,
    out: str | None,
    match: Path | None,
    download: Path | None,
    owner: str | None,
    provider: str | None,
    **service_fields: str,
) -> None:
    """Write a manifest for existing stores, ready for `vssync apply`, which takes them over.

    Files are listed by local path where one file matches, and by id otherwise; comments say how certain each match is.
    The stores are looked up in the manifest's service, or in the one that --provider names. Nothing is changed there.
    """
    import secrets

    from vssync.commands.dump.run import DumpRequest, dump_stores
    from vssync.commands.names import NAME_RULE, is_name, suggested_name
    from vssync.commands.session import open_connection
    from vssync.files import cannot_write

    if all == bool(store) or "" in store:
        empty = " (one without a name is found by its id, vs_...)" if "" in store else ""
        raise click.UsageError(f"give --store with the name or id of a store{empty}, or --all for every store")
    target, is_split = _find_target(out)
    source = store[0] if len(store) == 1 else target.resolve().parent.name
    owner = owner or suggested_name(source, secrets.token_hex(3))
    if not is_name(owner):
        raise click.UsageError(f"--owner {owner}: {NAME_RULE}")
    service, beside = _select_service(options, target, provider, service_fields)
    settings = options.settings()
    request = DumpRequest(store, owner, target, match, download, is_split)
    with open_connection(settings, service, beside) as connection:
        print_warnings(connection.client.sender.warnings)
        texts, dumped = read_with_progress(connection, lambda: dump_stores(connection, service, request))
    print_warnings(f"{escape_control(store.name) or store.id} is left out: {store.reason}" for store in dumped.omitted)
    for each in dumped.stores:
        if each.omitted:
            print_warnings([f"{each.key}: {count_noun(len(each.omitted), 'file')} left out; comments say why"])
    if out in (None, "-"):
        click.echo("".join(texts.values()), nl=False)
        return
    try:
        _write_new(texts, target, is_split=is_split)
    except OSError as error:
        raise cannot_write(error.filename, error) from error
    shown = target.parent if is_split else target
    wrote = f"{target} and {count_noun(len(texts) - 1, 'file')} that it includes" if is_split else target
    command = join(["vssync", "plan", *dumped.options, "-f", str(shown), *settings.words])
    click.echo(f"Wrote {wrote}.\nNext: {escape_control(command)}")


def _find_target(out: str | None) -> tuple[Path, bool]:
    """The manifest to write, and whether each store has a file of its own. Raises Refused where one is in the way."""
    from vssync.commands.dump.manifest import FOLDER
    from vssync.sources.load import MANIFEST_NAME, MANIFEST_NAMES

    if out in (None, "-"):
        return Path(MANIFEST_NAME), False
    is_split = out.endswith(os.sep) or Path(out).is_dir()
    target = Path(out) / MANIFEST_NAME if is_split else Path(out)
    in_the_way = [target]
    if is_split:
        in_the_way += [Path(out) / name for name in MANIFEST_NAMES]
        in_the_way += (Path(out) / FOLDER).glob("*.yaml")
    if existing := next((path for path in in_the_way if path.is_symlink() or path.exists()), None):
        raise Refused(f"{existing}: exists already, and nothing was written. Move it away, or name another place.")
    return target, is_split


def _write_new(texts: dict[str, str], target: Path, *, is_split: bool) -> None:
    """Writes the manifest after the files that it includes. Raises OSError."""
    from vssync.files import write_file

    for name, text in reversed(texts.items()):
        path = target.parent / name if is_split else target
        if is_split:
            path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, text)


def _select_service(
    options: CommandOptions, target: Path, provider: str | None, fields: dict[str, Any]
) -> tuple[ServiceSpec, Path]:
    """The service that --provider names, or the manifest's, and the manifest that an embedded one lies beside."""
    from vssync.commands.session import load_manifest
    from vssync.model.service import ServiceSpec
    from vssync.sources.load import MANIFEST_NAMES

    if provider:
        return ServiceSpec(provider, region=options.region, **fields), target.parent
    if stray := next((name for name, value in fields.items() if value), None):
        raise click.UsageError(f"--{stray.replace('_', '-')}: needs --provider")
    path = Path(options.manifest)
    if path.is_dir() and not any((path / name).exists() for name in MANIFEST_NAMES):
        raise click.UsageError("give --provider with the service of the stores, or -f with a manifest that names it")
    return load_manifest(options.settings(), hashed=False).desired.service, path
