"""Mounts a WSGI application in an `httpx.Client`: the same requests, no socket, bodies streamed both ways.

httpx's own WSGI transport holds whole requests in memory and cannot carry every path. A connection that the
application cuts raises what httpx raises for a real one. Connections are kept and used again, as in httpx's pool.
"""

from __future__ import annotations

import io
import shutil
import sys
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from tempfile import SpooledTemporaryFile
from typing import Any
from wsgiref.types import WSGIApplication, WSGIEnvironment

import httpx

from vssync.local.connections import CONNECTION_KEY, LocalConnection

PIECE_BYTES = 64 << 10
IN_MEMORY = 1 << 20


class LocalTransport(httpx.BaseTransport):
    """`httpx.Client(transport=LocalTransport(service))`; any thread may use it."""

    def __init__(self, app: WSGIApplication, on_close: Callable[[], None] | None = None):
        self._app = app
        self._on_close = on_close
        self._idle: deque[LocalConnection] = deque()

    def close(self) -> None:
        if self._on_close:
            self._on_close()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        source = RequestBody(request)
        length = request.headers.get("content-length", "")
        connection = self._connect()
        try:
            with io.BufferedReader(source, PIECE_BYTES) as reader, SpooledTemporaryFile(IN_MEMORY) as spool:
                body: Any = reader
                if not length and "transfer-encoding" in request.headers:  # WSGI wants the length in advance
                    shutil.copyfileobj(reader, spool)
                    length = str(spool.tell())
                    spool.seek(0)
                    body = spool
                environ = wsgi_environ(request, body, length) | {CONNECTION_KEY: connection}
                response = ResponseBody(self._app, environ, request, lambda: self._idle.append(connection))
        except ConnectionError as error:
            raise source.error or connection_error(error, request) from error
        except TimeoutError as error:
            raise source.error or httpx.ReadTimeout(str(error), request=request) from error
        if source.error:  # the application answered all the same; the client's own failure takes precedence
            response.close()
            raise source.error
        kept = {"network_stream": connection}  # where httpx, too, gives access to it
        return httpx.Response(response.status, headers=response.headers, stream=response, extensions=kept)

    def _connect(self) -> LocalConnection:
        """The connection that was used last, or a new one."""
        with suppress(IndexError):
            while not (connection := self._idle.pop()).is_open:
                pass
            return connection
        return LocalConnection()


def connection_error(error: ConnectionError, request: httpx.Request) -> httpx.TransportError:
    """As on a socket: a reset is an error in reading, any other end is an error of the protocol."""
    kind = httpx.ReadError if isinstance(error, ConnectionResetError) else httpx.RemoteProtocolError
    return kind(str(error), request=request)


class RequestBody(io.RawIOBase):
    """A request's stream as a file. An error in producing it is kept for the client."""

    def __init__(self, request: httpx.Request):
        assert isinstance(request.stream, httpx.SyncByteStream)
        self._pieces = iter(request.stream)
        self._unread = memoryview(b"")
        self.error: Exception | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        try:
            while not self._unread:
                self._unread = memoryview(next(self._pieces))
        except StopIteration:
            return 0
        except Exception as error:
            self.error = error
            raise ConnectionError("the client stopped sending") from error
        size = min(len(target), len(self._unread))
        target[:size] = self._unread[:size]
        self._unread = self._unread[size:]
        return size


class ResponseBody(httpx.SyncByteStream):
    """The application's pieces; ends as a broken connection would when it stops too early."""

    def __init__(
        self, app: WSGIApplication, environ: WSGIEnvironment, request: httpx.Request, on_end: Callable[[], None]
    ):
        self.status = 500
        self.headers: list[tuple[str, str]] = []
        self._request = request
        self._on_end = on_end
        self._is_whole = False
        self._pieces = app(environ, self._start)
        self._remaining = filter(None, iter(self._pieces))
        try:
            self._first = next(self._remaining, b"")  # some applications start their response only now
        except BaseException:
            self.close()
            raise

    def _start(self, status: str, headers: list[tuple[str, str]], _exc_info: Any = None, /) -> Callable[[bytes], None]:
        self.status, self.headers = int(status.partition(" ")[0]), headers
        return self._write

    def _write(self, _piece: bytes) -> None:
        raise NotImplementedError("write() is obsolete in WSGI")

    def __iter__(self) -> Iterator[bytes]:
        lengths = [value for name, value in self.headers if name.lower() == "content-length"]
        missing = int(lengths[-1]) - len(self._first) if lengths and self._request.method != "HEAD" else 0
        yield self._first
        try:
            for piece in self._remaining:
                missing -= len(piece)
                yield piece
        except ConnectionError as error:
            raise connection_error(error, self._request) from error
        if missing > 0:
            message = "the connection was closed before the whole body arrived"
            raise httpx.RemoteProtocolError(message, request=self._request)
        self._is_whole = True

    def close(self) -> None:
        """With the event that httpx's own transport gives, in which a client may still close the connection."""
        if trace := self._request.extensions.get("trace"):
            trace("http11.response_closed.started", {})
        if self._is_whole:
            self._on_end()
        if close := getattr(self._pieces, "close", None):
            close()
        self._pieces, self._first = (), b""  # httpx ties a response and its stream into a cycle, which lives on


def wsgi_environ(request: httpx.Request, body: Any, length: str) -> WSGIEnvironment:
    url = request.url
    headers = {
        f"HTTP_{name.decode('ascii').upper().replace('-', '_')}": value.decode("latin-1")
        for name, value in request.headers.raw
        if name.lower() not in (b"content-type", b"content-length")  # these have their own keys below
    }
    return headers | {
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": url.path.encode().decode("latin-1"),  # WSGI's form of a decoded path
        "QUERY_STRING": url.query.decode("ascii"),
        "CONTENT_TYPE": request.headers.get("content-type", ""),
        "CONTENT_LENGTH": length,
        "SERVER_NAME": url.host,
        "SERVER_PORT": str(url.port or {"http": 80, "https": 443}.get(url.scheme, 0)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": url.scheme,
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
