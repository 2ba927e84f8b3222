"""Whom a service on a loopback port answers: those that call it by this machine's own names.

A web page from anywhere can make its visitor's browser send requests here: with a form, whose origin the browser
tells, or through a name of its own that leads to this machine (DNS rebinding). Where no key is asked for, nothing
else would stop it.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from vssync.local.errors import REFUSAL, ApiError

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


AUTHORITY = r"(?:\[(?P<bracketed>[0-9a-f:.]+)\]|(?P<name>[0-9a-z.-]+))(?::(?P<port>[0-9]{0,5}))?"
HOST = re.compile(AUTHORITY, re.IGNORECASE)
ORIGIN = re.compile(f"https?://{AUTHORITY}", re.IGNORECASE)
SHOWN = 200  # characters of a header


def loopback(name: str) -> bool:
    """Whether a host's name or address, without brackets, leads to the machine it is used on."""
    plain = name.lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(plain)
    except ValueError:
        return plain == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def guarded(app: WSGIApplication, plain: WSGIApplication, port: int) -> WSGIApplication:
    """The application for callers on this machine; `plain` tells all others that they are refused."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        refused = refusal(environ.get("HTTP_HOST"), environ.get("HTTP_ORIGIN"), port)
        if refused is None:
            return app(environ, start_response)
        environ[REFUSAL] = refused
        return plain(environ, start_response)

    return application


def refusal(host: str | None, origin: str | None, port: int) -> ApiError | None:
    """Why a request with these headers is not answered. What a proxy says of them counts for nothing."""
    if not host:
        return ApiError(400, "The request has no Host header.", code="missing_host")
    if not (found := own(HOST, host)) or int(found["port"] or port) != port:
        return ApiError(
            421,
            f"This service answers at localhost and loopback addresses, at port {port}, and not at {host[:SHOWN]}. For "
            "other names, start it with --host and --api-key.",
            code="misdirected_request",
        )
    if origin is not None and not own(ORIGIN, origin):
        message = f"This service answers no web page of another machine, and this request is of {origin[:SHOWN]}."
        return ApiError(403, message, code="foreign_origin")
    return None


def own(form: re.Pattern[str], text: str) -> re.Match[str] | None:
    """The text's parts, if it has this form and names this machine."""
    found = form.fullmatch(text)
    if not found:
        return None
    bracketed = found["bracketed"]  # so are addresses of IPv6, and no others
    return found if (":" in bracketed and loopback(bracketed) if bracketed else loopback(found["name"])) else None
