"""`vssync serve`: the local service on a port, for applications and their tests."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli.help import FOLDER, option, verb
from vssync.errors import UsageProblem, VssyncError
from vssync.text import escape_control

if TYPE_CHECKING:
    import socket

    from vssync.local.app import Service
    from vssync.local.dialects import LocalOptions

_KEY = re.compile(r"[\x21-\x7e]*")  # what a header can carry
_PORT = click.IntRange(0, 65535)
_MS = click.IntRange(0, 86_400_000)
_SECONDS = click.IntRange(1, 86_400)
_KEEP_ALIVE_HELP = "Close connections that are idle for this long."
_PROVIDER_HELP = (
    "The dialect to speak: local, oci, openai, azure or compatible, and switches, as in `oci,creating-seconds=0`."
)


@verb
@option("--host", "The address to listen on.", default="127.0.0.1", show_default=True)
@option("--port", "The port to listen on; 0 picks a free one.", type=_PORT, default=8700, show_default=True)
@option("--data", "The folder for uploads and stores.", type=FOLDER, default=Path(".vssync/local"), show_default=True)
@option("--api-key", "Require this key in every request.", default="", metavar="KEY")
@option("--latency", "Delay every answer by this long.", type=_MS, default=0, metavar="MS")
@option("--keep-alive", _KEEP_ALIVE_HELP, type=_SECONDS, default=120, show_default=True, metavar="SECONDS")
@option("--ingest-delay", "Ingest files this long after they are attached.", type=_MS, default=0, metavar="MS")
@option("--fault faults", "Inject a fault; the guide lists them.", multiple=True, metavar="RULE")
@option("--provider", _PROVIDER_HELP, default="local", show_default=True, metavar="NAME")
def serve(
    *,
    host: str,
    port: int,
    data: Path,
    api_key: str,
    latency: int,
    keep_alive: int,
    ingest_delay: int,
    faults: tuple[str, ...],
    provider: str,
) -> None:
    """Serve the local service on a port until Ctrl-C or SIGTERM.

    OpenAI's SDKs can use it, and so can a manifest: service: {provider: local, data_url: http://127.0.0.1:8700/v1}.
    """
    from vssync.local import server
    from vssync.local.dialects import LocalOptions, parse_dialect
    from vssync.local.faults.rules import parse_rule, with_faults

    local_only = server.is_loopback(host)
    if not (local_only or api_key):
        raise UsageProblem(f"--host {host}: other machines could read and write everything; add --api-key KEY")
    if not _KEY.fullmatch(api_key):
        raise UsageProblem("--api-key: no client can send it; choose one of plain ASCII, without spaces")
    with _bad_option("--provider"):
        options = LocalOptions(dialect=parse_dialect(provider), api_key=api_key, ingest_delay=ingest_delay / 1000)
    with _bad_option("--fault"):
        for rule in faults:
            parse_rule(rule)
    notes = [*([f"Latency: {latency} ms"] if latency else []), *(f"Fault: {rule}" for rule in faults)]
    stopping = suppress(KeyboardInterrupt)  # being asked to stop is how a server ends well
    with _open_service(data, options) as service, _bind_socket(host, port) as listener, stopping:
        click.echo(_format_greeting(server.service_url(listener), data, options, provider, notes))
        app = with_faults(service, faults)
        if local_only:  # elsewhere the key decides
            app = server.loopback_only(app, service, listener.getsockname()[1])
        server.serve_until_stopped(app, listener, keep_alive=keep_alive, latency=latency / 1000)


@contextmanager
def _bad_option(name: str) -> Iterator[None]:
    from vssync.local.errors import OptionError

    try:
        yield
    except OptionError as error:
        raise UsageProblem(f"{name} {error}") from error


def _open_service(data: Path, options: LocalOptions) -> Service:
    from vssync.local.app import open_service
    from vssync.local.errors import LocalDataError

    try:
        return open_service(data, options=options)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error


def _bind_socket(host: str, port: int) -> socket.socket:
    from vssync.local import server

    try:
        return server.listen_on(host, port)
    except OSError as error:
        code = error.errno or 0
        reason = os.strerror(code) if code > 0 else "no such host"  # a failed lookup has a number below 0
        other = "--port, or 0" if code > 0 and code != errno.EADDRNOTAVAIL else "--host"
        raise VssyncError(f"{host}:{port}: cannot be listened on: {reason}; choose another {other}") from error


def _format_greeting(url: str, data: Path, options: LocalOptions, provider: str, notes: list[str]) -> str:
    """The key is not shown: whoever started this knows it."""
    split = options.dialect.split
    wait = options.dialect.creating_seconds + options.dialect.propagating_seconds
    at_once = f"{provider},creating-seconds=0,propagating-seconds=0"
    base = f"{url}/openai/v1" if split or options.dialect.openai_path else f"{url}/v1"
    lines = [
        f"Serving at {base}. Ctrl-C stops it.",
        f"Its data is in {escape_control(str(data))}.",
        *([f"Stores themselves are at {url}/20231130/openai/v1."] if split else []),
        *([f"A new store can be used after {wait} s. To make that 0: --provider {at_once}"] if wait else []),
        *notes,
        "",
        f"export OPENAI_BASE_URL={base}",
        *(["export OPENAI_PROJECT_ID=none"] if split else []),  # any value will do, but a client without one is refused
        f"export OPENAI_API_KEY={'<the key given>' if options.api_key else 'none'}",
    ]
    return "\n".join(lines)
