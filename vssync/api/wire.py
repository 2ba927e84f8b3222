"""What happened on the wire when no answer came: whether the request can have arrived, and how to say it.

Knows the HTTP library's exceptions and its trace of a connection, so that nobody else has to.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx

from vssync.api import faults
from vssync.api.retry import Failure
from vssync.errors import ServiceError

# Everything that can go wrong between us and a whole answer. A host name can be one that DNS cannot even encode.
ERRORS = (httpx.RequestError, httpx.StreamError, UnicodeError)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, UnicodeError)
_PACKING = (b"content-encoding", b"content-length", b"transfer-encoding")
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class Endless(httpx.StreamError):
    """The answer is larger, or took longer, than any of a service's own."""


class Wire:
    """Follows one request: httpx calls it with each event of the connection (its `trace` extension)."""

    def __init__(self) -> None:
        self._events: set[str] = set()

    def __call__(self, event: str, _info: Any) -> None:
        self._events.add(event)

    @property
    def _kept(self) -> bool:
        """The request went out on a connection that an earlier one had opened."""
        return (
            "http11.send_request_headers.started" in self._events
            and "connection.connect_tcp.started" not in self._events
            and "http11.receive_response_headers.complete" not in self._events
        )

    def failure(self, cause: Exception) -> Failure:
        """What the retry table needs to know."""
        if isinstance(cause, _UNSENT):
            return Failure(sent=False, hopeless=any(isinstance(e, ssl.SSLCertVerificationError) for e in _chain(cause)))
        return Failure(stale=isinstance(cause, _DROPPED) and self._kept, hopeless=isinstance(cause, Endless))


def received(response: httpx.Response, most: int, late: Callable[[], bool]) -> httpx.Response:
    """A streamed answer with its whole body, decoded, of at most so many bytes; closes the stream.

    Raises Endless when it is larger, however few bytes it was packed into, or `late` while more still comes.
    """
    with closing(response):
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > most:
                raise Endless(f"it is larger than {most >> 20:,} MB")
            if late():
                raise Endless("it comes too slowly to be waited for")
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _PACKING]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


def error(request: httpx.Request, failure: Failure, cause: Exception, *, idempotent: bool) -> ServiceError:
    """The error to raise when the request is not sent again."""
    if failure.sent and not idempotent:
        return faults.lost(request.method, request.url.path, faults.hidden(request, _words(cause)))
    why, way_out = _reading(cause)
    return faults.unreachable(request.method, request.url, faults.hidden(request, why), way_out)


def _reading(cause: Exception) -> tuple[str, str]:
    """What is wrong, and the way out."""
    if any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(cause)):
        return (
            f"its certificate is not trusted: {_words(cause)}",
            "behind a proxy or authority of your own, name its certificates in SSL_CERT_FILE",
        )
    if isinstance(cause, Endless):
        return f"its answer cannot be read: {_words(cause)}", faults.LOOK
    if isinstance(cause, UnicodeError) or any(isinstance(link, socket.gaierror) for link in _chain(cause)):
        return f"no such host: {_words(cause)}", "look at the region, the address and your DNS"
    if any(isinstance(link, ssl.SSLError) for link in _chain(cause)):
        return f"no TLS connection to be had: {_words(cause)}", faults.LOOK
    return f"cannot be reached: {_words(cause)}", "look at the address, the network and the proxy settings"


def _words(cause: Exception) -> str:
    return str(cause) or type(cause).__name__


def _chain(cause: BaseException | None) -> Iterator[BaseException]:
    """An exception and what led to it."""
    while cause is not None:
        yield cause
        cause = cause.__cause__ or cause.__context__
