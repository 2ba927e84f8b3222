"""The service on a port, for other programs: one process, a few threads, over waitress.

On a loopback address it answers only those that call it by this machine's own names: any web page can make its
visitor's browser send requests here, with a form or through a name of its own for this machine (DNS rebinding).
"""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import struct
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from queue import Queue
from threading import Event, Thread
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from vssync.local.errors import REFUSAL_KEY, ApiError

MOST_BODY_BYTES = 600 << 20  # above the largest upload, which the service refuses with a sentence of its own
AUTHORITY = r"(?:\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<name>[0-9a-z.-]+))(?::(?P<port>[0-9]{0,5}))?"
HOST = re.compile(AUTHORITY, re.IGNORECASE)
ORIGIN = re.compile(f"https?://{AUTHORITY}", re.IGNORECASE)
MOST_SHOWN = 200  # characters of a header


def listen_on(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError."""
    return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)


def service_url(listening: socket.socket) -> str:
    """Where a client on this machine reaches it, as a URL without path."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextmanager
def serving(app: WSGIApplication) -> Iterator[str]:
    """The service on a free port of this machine until the block ends; gives the base URL that clients take."""
    from waitress import wasyncore  # type: ignore[import-untyped]  # it ships no types

    with listen_on("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]
        server = create_server(loopback_only(app, app, port), listening, keep_alive=120)
        thread = Thread(target=server.run, name="vssync-local", daemon=True)
        thread.start()
        try:
            yield f"{service_url(listening)}/v1"
        finally:
            with suppress(OSError):  # a worker may wake the loop first: then it is closed before we wake it
                server.trigger.pull_trigger(lambda: wasyncore.close_all(server._map))
            thread.join()
            server.task_dispatcher.shutdown()


class DelayedTasks:
    """Hands each request to waitress's threads `seconds` after it came in; until then it holds none of them."""

    def __init__(self, threads: Any, seconds: float) -> None:
        self._threads, self._seconds, self._stopping = threads, seconds, Event()
        self._waiting: Queue[tuple[float, Any]] = Queue()
        Thread(target=self._hand_on, name="vssync-latency", daemon=True).start()

    def add_task(self, task: Any) -> None:
        self._waiting.put((time.monotonic() + self._seconds, task))

    def shutdown(self) -> None:
        """Hands on all that wait, and gives them five seconds to be begun."""
        self._stopping.set()
        self._waiting.join()
        until = time.monotonic() + 5.0
        while self._threads.queue and time.monotonic() < until:
            time.sleep(0.01)
        self._threads.shutdown()

    def _hand_on(self) -> None:
        while True:
            due, task = self._waiting.get()
            self._stopping.wait(max(0.0, due - time.monotonic()))
            self._threads.add_task(task)
            self._waiting.task_done()


def serve_until_stopped(app: WSGIApplication, listening: socket.socket, *, keep_alive: int, latency: float) -> None:
    """Serve until KeyboardInterrupt or SystemExit; requests under way are answered first; each begins so much later."""
    server = create_server(app, listening, keep_alive=keep_alive)
    if latency:
        server.task_dispatcher = DelayedTasks(server.task_dispatcher, latency)
    try:
        server.run()
    finally:
        server.close()


def create_server(app: WSGIApplication, listening: socket.socket, *, keep_alive: int) -> Any:
    """A server that closes a connection after so many idle seconds.

    Faults rely on waitress: it cuts a connection at a `ConnectionError` of the application, and at too short a body.
    """
    import waitress

    logging.getLogger("waitress").setLevel(logging.ERROR)  # it warns of short queues and short bodies
    return waitress.create_server(
        with_resets(app),
        sockets=[listening],
        threads=8,
        ident="vssync",
        log_socket_errors=False,
        connection_limit=900,  # idle ones hold up nobody; `select` takes 1023
        channel_timeout=keep_alive,
        cleanup_interval=min(30, keep_alive),  # seconds between checks for idle connections
        max_request_body_size=MOST_BODY_BYTES,
    )


def with_resets(app: WSGIApplication) -> WSGIApplication:
    """Makes a close that follows `ConnectionResetError` a real reset, which clients can tell from an end."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except ConnectionResetError:
            connection = environ["waitress.client_disconnected"].__self__  # the only access that waitress offers
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise

    return application


def loopback_only(app: WSGIApplication, refusing_app: WSGIApplication, port: int) -> WSGIApplication:
    """The application for callers on this machine; `refusing_app` answers all others that they are refused."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        error = caller_error(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"), port)
        if error is None:
            return app(environ, start_response)
        environ[REFUSAL_KEY] = error
        return refusing_app(environ, start_response)

    return application


def caller_error(host: str | None, origin: str | None, port: int) -> ApiError | None:
    """Why a request with these headers is not answered. Headers that a proxy adds count for nothing."""
    if not host:
        return ApiError(400, "The request has no Host header.", code="missing_host")
    if not (own := match_own_host(HOST, host)) or int(own["port"] or port) != port:
        message = (
            f"This service answers at localhost and loopback addresses, at port {port}, and not at "
            f"{host[:MOST_SHOWN]}. For other names, start it with --host and --api-key."
        )
        return ApiError(421, message, code="misdirected_request")
    if origin is not None and not match_own_host(ORIGIN, origin):
        message = f"This service answers no web page of another machine, such as {origin[:MOST_SHOWN]}."
        return ApiError(403, message, code="foreign_origin")
    return None


def match_own_host(pattern: re.Pattern[str], header: str) -> re.Match[str] | None:
    """The header's parts, if it has this form and names this machine."""
    if not (match := pattern.fullmatch(header)):
        return None
    bracketed = match["bracketed"]  # as addresses of IPv6 are, and no others
    is_own = ":" in bracketed and is_loopback(bracketed) if bracketed else is_loopback(match["name"])
    return match if is_own else None


def is_loopback(host: str) -> bool:
    """Whether a host's name or address, without brackets, leads to the machine it is used on."""
    name = host.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback
