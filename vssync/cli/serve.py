"""`vssync serve`: the local service on a port, for applications and their tests."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vssync.cli import exit_codes
from vssync.cli.help import option, verb
from vssync.errors import UsageProblem, VssyncError

if TYPE_CHECKING:
    import socket

    from vssync.local.app import Service
    from vssync.local.dialects import Dialect, LocalOptions

_KEY = re.compile(r"[\x21-\x7e]*")  # what a header can carry
_PORT = click.IntRange(0, 65535)
_MS = click.IntRange(0, 86_400_000)


@verb
@option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@option("--port", type=_PORT, default=8700, show_default=True, help="The port to listen on; 0 picks a free one.")
@option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".vssync/local"),
    show_default=True,
    help="The folder for uploads and stores.",
)
@option("--api-key", default="", metavar="KEY", help="Require this key in every request.")
@option("--latency", type=_MS, metavar="MS", help="Delay every answer by this long.")
@option(
    "--keep-alive",
    type=click.IntRange(1, 86_400),
    default=120,
    show_default=True,
    metavar="SECONDS",
    help="Close connections that are idle for this long.",
)
@option("--ingest-delay", type=_MS, default=0, metavar="MS", help="Ingest files this long after they are attached.")
@option("--fault", "faults", multiple=True, metavar="RULE", help="Inject a fault; the guide lists them.")
@option(
    "--provider",
    default="local",
    show_default=True,
    metavar="NAME",
    help="The dialect to speak: local, oci, openai or compatible, and switches, as in `oci,unsettled=0`.",
)
def serve(
    *,
    host: str,
    port: int,
    data: Path,
    api_key: str,
    latency: int | None,
    keep_alive: int,
    ingest_delay: int,
    faults: tuple[str, ...],
    provider: str,
) -> int:
    """Serve the local service on a port until Ctrl-C or SIGTERM.

    OpenAI's SDKs can use it, and so can a manifest: service: {provider: local, data_url: http://127.0.0.1:8700/v1}.
    """
    from vssync.local import server
    from vssync.local.dialects import LocalOptions
    from vssync.local.faults.rules import with_faults

    local_only = server.is_loopback(host)
    _check_key(host, api_key, local_only=local_only)
    options = LocalOptions(dialect=_parse_dialect(provider), api_key=api_key, ingest_delay=ingest_delay / 1000)
    rules = _check_rules([*([f"delay={latency}"] if latency else []), *faults])
    with _open_service(data, options) as service, _bind_socket(host, port) as listener:
        try:
            click.echo(_format_greeting(server.service_url(listener), data, options, rules))
            app = with_faults(service, rules)
            if local_only:  # elsewhere the key decides
                app = server.loopback_only(app, service, listener.getsockname()[1])
            server.serve_until_stopped(app, listener, keep_alive=keep_alive)
        except KeyboardInterrupt:
            pass  # being asked to stop is how a server ends well
    return exit_codes.DONE


def _check_key(host: str, api_key: str, *, local_only: bool) -> None:
    if not (local_only or api_key):
        raise UsageProblem(f"--host {host}: other machines could read and write everything; add --api-key KEY")
    if not _KEY.fullmatch(api_key):
        raise UsageProblem("--api-key: no client can send it; choose one of plain ASCII, without spaces")


def _parse_dialect(provider: str) -> Dialect:
    from vssync.local.dialects import parse_dialect
    from vssync.local.errors import OptionError

    try:
        return parse_dialect(provider)
    except OptionError as error:
        raise UsageProblem(f"--provider {error}") from error


def _check_rules(rules: list[str]) -> list[str]:
    from vssync.local.errors import OptionError
    from vssync.local.faults.rules import parse_rule

    for rule in rules:
        try:
            parse_rule(rule)
        except OptionError as error:
            raise UsageProblem(f"--fault {error}") from error
    return rules


@contextmanager
def _open_service(data: Path, options: LocalOptions) -> Iterator[Service]:
    from vssync.local.app import open_service
    from vssync.local.errors import LocalDataError

    try:
        service = open_service(data, options=options)
    except LocalDataError as error:
        raise VssyncError(str(error)) from error
    with service:
        yield service


@contextmanager
def _bind_socket(host: str, port: int) -> Iterator[socket.socket]:
    from vssync.local import server

    try:
        listener = server.listen_on(host, port)
    except OSError as error:
        code = error.errno or 0
        reason = os.strerror(code) if code > 0 else "no such host"  # a failed lookup has a number below 0
        other = "--port, or 0" if code > 0 and code != errno.EADDRNOTAVAIL else "--host"
        raise VssyncError(f"{host}:{port}: cannot be listened on: {reason}; choose another {other}") from error
    with listener:
        yield listener


def _format_greeting(url: str, data: Path, options: LocalOptions, rules: list[str]) -> str:
    """The key is not shown: whoever started this knows it."""
    split = options.dialect.split
    base = f"{url}/openai/v1" if split else f"{url}/v1"
    lines = [
        f"Serving at {base}, with its data in {data}. Ctrl-C stops it.",
        *([f"Stores themselves are at {url}/20231130/openai/v1."] if split else []),
        *(f"Fault: {rule}" for rule in rules),
        "",
        f"export OPENAI_BASE_URL={base}",
        *(["export OPENAI_PROJECT_ID=none"] if split else []),  # any value will do, but a client without one is refused
        f"export OPENAI_API_KEY={'<the key given>' if options.api_key else 'none'}",
    ]
    return "\n".join(lines)
