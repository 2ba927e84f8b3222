"""Connections as the service sees them, and services that reset one after an answer that is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from weakref import WeakSet
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from vssync.local.errors import OWN_REQUEST_KEY

CONNECTION_KEY = "vssync.connection"  # in the WSGI environment: a `LocalConnection`


class LocalConnection:
    """What carries one request after another where there is no socket; closed for good."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


def find_connection(environ: WSGIEnvironment) -> object | None:
    """What a request came by; None for a fault's own request."""
    if OWN_REQUEST_KEY in environ:
        return None
    channel = getattr(environ.get("waitress.client_disconnected"), "__self__", None)  # all that waitress offers
    return environ.get(CONNECTION_KEY, channel)


def resetting_after_errors(app: WSGIApplication) -> WSGIApplication:
    """Resets a connection that answered an error when the next request comes by it; that request has no effect.

    Real servers reset it at once, and which comes first is chance. Here the client always loses.
    """
    spent: WeakSet[object] = WeakSet()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        connection = find_connection(environ)
        if connection in spent:
            raise ConnectionResetError("the connection was reset after an error was answered")

        def start(status: str, headers: list[tuple[str, str]], *exc_info: Any) -> Callable[[bytes], object]:
            if connection is not None and status >= "400":
                spent.add(connection)
            return start_response(status, headers, *exc_info)

        return app(environ, start)

    return application
