"""`vssync serve`: the local service on a port, for applications and their tests."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vssync.cli import exit_codes

if TYPE_CHECKING:
    import socket

    from vssync.local.app import Service
    from vssync.local.dialects import LocalOptions


_KEY = re.compile(r"[\x21-\x7e]*")  # what a header can carry
_PORT = click.IntRange(0, 65535)
_MS = click.IntRange(0, 86_400_000)


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=_PORT, default=8700, show_default=True, help="The port to listen on; 0 picks a free one.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".vssync/local"),
    show_default=True,
    help="The folder for uploads and stores.",
)
@click.option("--api-key", default="", metavar="KEY", help="Require this key in every request.")
@click.option("--latency", type=_MS, metavar="MS", help="Delay every answer by this long.")
@click.option(
    "--keep-alive",
    type=click.IntRange(1, 86_400),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Close connections that are idle for this long.",
)
@click.option(
    "--ingest-delay", type=_MS, default=0, metavar="MS", help="Ingest files this long after they are attached."
)
@click.option("--fault", "faults", multiple=True, metavar="RULE", help="Inject a fault; the guide lists them.")
@click.option(
    "--provider",
    default="local",
    show_default=True,
    metavar="NAME",
    help="The dialect to speak: local, oci, openai or compatible, and switches, as in `oci,unsettled=0`.",
)
def serve(host: str, port: int, data: Path, latency: int | None, faults: tuple[str, ...], **given: Any) -> int:
    """Serve the local service on a port until Ctrl-C or SIGTERM.

    OpenAI's SDKs can use it, and so can a manifest: service: {provider: local, data_url: http://127.0.0.1:8700/v1}.
    """
    from vssync.local import server
    from vssync.local.faults.rules import with_faults

    options, rules = _options(host, given), _rules(faults, latency)
    with _opened(data, options) as service, _bound(host, port) as listening:
        try:
            click.echo(_greeting(server.service_url(listening), data, options, rules))
            app = with_faults(service, rules)
            if server.is_loopback(host):  # elsewhere the key decides
                app = server.loopback_only(app, service, listening.getsockname()[1])
            server.serve_until_stopped(app, listening, keep_alive=given["keep_alive"])
        except KeyboardInterrupt:
            pass  # being asked to stop is how a server ends well
    return exit_codes.DONE


def _options(host: str, given: dict[str, Any]) -> LocalOptions:
    """Raises UsageProblem for an unknown provider, an open door, or one that no key fits."""
    from vssync.errors import UsageProblem
    from vssync.local import server
    from vssync.local.dialects import LocalOptions, parse_dialect
    from vssync.local.errors import OptionError

    if not (server.is_loopback(host) or given["api_key"]):
        raise UsageProblem(f"--host {host}: other machines could read and write everything; add --api-key KEY")
    if not _KEY.fullmatch(given["api_key"]):
        raise UsageProblem("--api-key: no client can send it; take one of plain ASCII, without spaces")
    try:
        spoken = parse_dialect(given["provider"])
    except OptionError as error:
        raise UsageProblem(f"--provider {error}") from error
    return LocalOptions(dialect=spoken, api_key=given["api_key"], ingest_delay=given["ingest_delay"] / 1000)


def _rules(faults: tuple[str, ...], latency: int | None) -> list[str]:
    from vssync.errors import UsageProblem
    from vssync.local.errors import OptionError
    from vssync.local.faults.rules import parse_rule

    rules = [*([f"delay={latency}"] if latency else []), *faults]
    for rule in rules:
        try:
            parse_rule(rule)
        except OptionError as error:
            raise UsageProblem(f"--fault {error}") from error
    return rules


@contextmanager
def _opened(data: Path, options: LocalOptions) -> Iterator[Service]:
    from vssync.errors import VssyncError
    from vssync.local.app import open_service
    from vssync.local.errors import LocalDataError

    try:
        service = open_service(data, options=options)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    with service:
        yield service


@contextmanager
def _bound(host: str, port: int) -> Iterator[socket.socket]:
    from vssync.errors import VssyncError
    from vssync.local import server

    try:
        listening = server.listen_on(host, port)
    except OSError as error:
        code = error.errno or 0
        why = os.strerror(code) if code > 0 else "no such host"  # looking up a name fails with numbers below 0
        other = "--port, or 0" if code > 0 and code != errno.EADDRNOTAVAIL else "--host"
        raise VssyncError(f"{host}:{port}: cannot be listened on: {why}; take another {other}") from error
    with listening:
        yield listening


def _greeting(url: str, data: Path, options: LocalOptions, rules: list[str]) -> str:
    """The key is not shown: whoever started this knows it."""
    split = options.dialect.split
    base = f"{url}/openai/v1" if split else f"{url}/v1"
    lines = [
        f"Serving at {base}, with its data in {data}. Ctrl-C stops it.",
        *([f"Stores themselves are at {url}/20231130/openai/v1."] if split else []),
        *(f"Fault: {rule}" for rule in rules),
        "",
        f"export OPENAI_BASE_URL={base}",
        *(["export OPENAI_PROJECT_ID=none"] if split else []),  # any will do, but none at all is refused
        f"export OPENAI_API_KEY={'<the key given>' if options.api_key else 'none'}",
    ]
    return "\n".join(lines)
