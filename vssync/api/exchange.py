"""One request and its answer on a connection: what became of it, and what to say where there is no whole answer."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from contextlib import closing
from typing import Any

import httpx

from vssync.api import errors
from vssync.api.retry import Failure
from vssync.errors import Answer, ServiceError

# Everything that can go wrong between us and a whole answer. A host name can be one that DNS cannot even encode, and
# httpx reads the address of a redirect although it follows none.
TRANSPORT_ERRORS = (httpx.RequestError, httpx.StreamError, httpx.InvalidURL, UnicodeError)
_UNSENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError, UnicodeError)
_ENCODING_HEADERS = (b"content-encoding", b"content-length", b"transfer-encoding")
_FRESH = ("connection.connect_tcp.started", "http11.receive_response_headers.complete")
_DROPPED = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)


class ResponseTooLarge(httpx.StreamError):
    """The answer is larger, or took longer, than any of a service's own."""


class ConnectionTrace:
    """Follows one request: httpx calls it with each event of the connection (its `trace` extension)."""

    def __init__(self) -> None:
        self._events: set[str] = set()
        self._to_close: Any = None

    def __call__(self, event: str, _info: Any) -> None:
        self._events.add(event)
        if event == "http11.response_closed.started" and self._to_close:
            self._to_close.close()  # while it still counts as busy: once idle, another thread may take it

    def close_with_response(self, response: httpx.Response) -> None:
        """Keeps the connection out of the pool: uvicorn resets it after an error, and a write on it would be lost."""
        self._to_close = response.extensions.get("network_stream")

    def failure(self, cause: Exception) -> Failure:
        """What the retry table needs to know."""
        if isinstance(cause, _UNSENT):
            return Failure(sent=False, is_permanent=_caused_by(cause, ssl.SSLCertVerificationError))
        # The request went out on a connection that an earlier one had opened, and nothing came back.
        has_begun = "http11.send_request_headers.started" in self._events
        is_reused = has_begun and self._events.isdisjoint(_FRESH)
        # No service acts on half a header. The pool looks for closed connections a moment before it hands one out, so
        # it may hand out the one that an error's answer just closed.
        is_sent = "http11.send_request_headers.failed" not in self._events
        is_permanent = isinstance(cause, ResponseTooLarge)
        return Failure(sent=is_sent, stale=isinstance(cause, _DROPPED) and is_reused, is_permanent=is_permanent)


def read_bounded(response: httpx.Response, max_bytes: int, is_late: Callable[[], bool]) -> httpx.Response:
    """A streamed answer with its whole body, decoded; closes the stream.

    Raises ResponseTooLarge when it is larger, however few bytes it was packed into, or late while more still comes.
    """
    with closing(response):
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > max_bytes:
                raise ResponseTooLarge(f"it is larger than {max_bytes >> 20:,} MB")
            if is_late():
                raise ResponseTooLarge("it comes too slowly to be waited for")
    response.stream = httpx.ByteStream(b"")  # the one that was read refers to the response, which would live on
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in _ENCODING_HEADERS]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body), request=response.request)


def transport_error(
    request: httpx.Request, failure: Failure, cause: Exception, *, idempotent: bool, proxy: str = ""
) -> ServiceError:
    """The error to raise when the request, which goes through a `proxy` or none, is not sent again."""
    reason = str(cause) or type(cause).__name__
    if failure.sent and not idempotent:
        return errors.lost_reply_error(request.method, request.url.path, errors.redact(request, reason))
    way_out = errors.CHECK_ADDRESS
    if _caused_by(cause, ssl.SSLCertVerificationError):
        problem = "its certificate is not trusted"
        way_out = "behind a proxy or authority of your own, name its certificates in SSL_CERT_FILE"
    elif isinstance(cause, ResponseTooLarge):
        problem = "its answer cannot be read"
    elif proxy:  # whichever of the two hosts it was that failed
        problem = f"cannot be reached through {proxy}"
        way_out = f"check that proxy, or add {request.url.host} to NO_PROXY to go past it"
    elif _caused_by(cause, UnicodeError, socket.gaierror):
        problem, way_out = "no such host", "check the region, the address and your DNS"
    elif _caused_by(cause, ssl.SSLError) or "handshake" in reason:  # a server that waits for a request times out
        problem = "no TLS connection"
        way_out += "; that of a service which speaks plain HTTP begins with http://"
    else:
        problem, way_out = "cannot be reached", "check that it runs, its address, the network and the proxy settings"
    problem = errors.redact(request, f"{problem}: {reason}")
    answer = Answer(request.method, request.url.path, message=problem)
    return ServiceError(f"{request.url.netloc.decode()}: {problem}; {way_out}", answer)


def _caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    """Whether an exception, or what led to it, is of these kinds."""
    while error is not None and not isinstance(error, kinds):
        error = error.__cause__ or error.__context__
    return error is not None
