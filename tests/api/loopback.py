"""A scripted HTTP server on this machine, for what only a real connection shows."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Sent:
    """An answer; `hang_up` closes the connection instead."""

    status: int = 200
    body: str = '{"data": [], "has_more": false}'
    headers: dict[str, str] = field(default_factory=dict)
    hang_up: bool = False


def said(status: int = 200, headers: dict[str, str] | None = None, **body: Any) -> Sent:
    return Sent(status, json.dumps(body), headers or {})


@dataclass(frozen=True)
class Got:
    """A request as it came over the wire; `connection` numbers the connections."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes = b""
    connection: int = 0


@dataclass
class Loopback:
    url: str
    got: list[Got] = field(default_factory=list)
    connections: int = 0


Answering = Callable[[Got], Sent]


@contextmanager
def listening(answer: Answering, certificate: Path | None = None, *, proxy: bool = False) -> Iterator[Loopback]:
    """Answers each request by the function; over TLS with a certificate and its key in one file.

    A `proxy` speaks TLS only inside of the tunnels that clients ask for, and stands for every host they lead to.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if certificate:
        context.load_cert_chain(certificate)
    over_tls = certificate is not None and not proxy

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes, and the second would wait for an answer

        def setup(self) -> None:
            super().setup()
            with lock:
                place.connections += 1
                self.number = place.connections

        def reply(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            got = Got(self.command, self.path, headers, body, self.number)
            with lock:
                place.got.append(got)
            sent = answer(got)
            self.close_connection = self.close_connection or sent.hang_up
            if sent.hang_up:
                return
            usual = {"content-type": "application/json", "date": self.date_time_string()}
            self.send_response_only(sent.status)
            for name, value in {**usual, **sent.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(sent.body.encode())))
            self.end_headers()
            self.wfile.write(sent.body.encode())

        do_GET = do_POST = do_DELETE = reply  # noqa: N815  # the names http.server looks for

        def do_CONNECT(self) -> None:
            if not proxy:
                self.reply()
                return
            self.send_response(200)
            self.end_headers()
            super().finish()
            self.connection = context.wrap_socket(self.connection, server_side=True)
            self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)
            self.close_connection = False

        def finish(self) -> None:
            super().finish()
            self.connection.close()

        def log_message(self, format: str, *args: Any) -> None:
            """Says nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that does not trust us hangs up; that is its right."""

    lock = threading.Lock()
    server = Server(("127.0.0.1", 0), Handler)
    if over_tls:
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "https" if over_tls else "http"
    place = Loopback(f"{scheme}://127.0.0.1:{server.server_address[1]}/v1")
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield place
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed(folder: Path, *hosts: str, subject: str = "loopback") -> Path:
    """A certificate for this machine and other hosts that nobody vouches for, with its key, in one file."""
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject)])
    names = [x509.IPAddress(ip_address("127.0.0.1")), *map(x509.DNSName, hosts)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(1), now + timedelta(1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, SHA256())
    )
    path = folder / "certificate.pem"
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption())
    path.write_bytes(certificate.public_bytes(Encoding.PEM) + secret)
    return path
