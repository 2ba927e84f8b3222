"""The service on a port, for other programs: one process, a few threads, over waitress.

A fault that cuts a connection needs a server that closes it without a reply when the application raises
`ConnectionError`, and closes it in the middle when a body is shorter than promised; this one does both. A reset
it leaves to us.
"""

from __future__ import annotations

import logging
import socket
import struct
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


THREADS = 8
KEEP_ALIVE = 120  # seconds that a connection may be idle before the server closes it
MOST_BODY_BYTES = 600 << 20  # above the largest upload, which the service refuses with a sentence of its own


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def address(listening: socket.socket) -> str:
    """Where a client on this machine finds it, as a URL without path."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def resetting(app: WSGIApplication) -> WSGIApplication:
    """Makes a close that follows `ConnectionResetError` a real reset, which clients can tell from an end."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return app(environ, start_response)
        except ConnectionResetError:
            connection = environ["waitress.client_disconnected"].__self__  # the one way to it that waitress offers
            connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            raise

    return application


def run(app: WSGIApplication, listening: socket.socket, *, keep_alive: int = KEEP_ALIVE) -> None:
    """Serve until KeyboardInterrupt or SystemExit; requests under way are answered first."""
    import waitress  # type: ignore[import-untyped]  # it ships no types

    logging.getLogger("waitress").setLevel(logging.ERROR)  # short queues and short bodies are no news
    server = waitress.create_server(
        resetting(app),
        sockets=[listening],
        threads=THREADS,
        ident="vssync",
        log_socket_errors=False,
        channel_timeout=keep_alive,
        cleanup_interval=min(30, keep_alive),  # seconds between looks for idle connections
        max_request_body_size=MOST_BODY_BYTES,
    )
    try:
        server.run()
    finally:
        server.close()
