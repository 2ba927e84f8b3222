"""Writing responses: outcomes as JSON or as a stream, and every error in the dialect's shape."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable
from typing import Any

import falcon

from vssync.local.dialects import Errors
from vssync.local.errors import ApiError, LocalDataError
from vssync.local.gateway import Plane

Body = str | dict[str, Any]
REFUSED_ENVIRON = "vssync.error_shape"  # in the WSGI environment: the one of OCI's shapes that an error is written in
HIDDEN = "Authorization failed or requested resource not found."


def error_body(error: ApiError, style: Errors, *, control: bool = False) -> Body:
    """The body of an error: JSON, or a text that is none. `control` says which of OCI's addresses answers."""
    if style is Errors.BARE:
        return {"error": {"message": str(error)}}
    if style is Errors.OCI:
        return OCI[oci_shape(error, control=control)](error)
    return {"error": {"message": str(error), "type": error.kind, "param": error.param, "code": error.code}}


def oci_shape(error: ApiError, *, control: bool) -> int:
    """Which of the five shapes: the control address has its own two, a provider's refusals are passed on whole."""
    if error.status >= 500:
        return 5
    if error.status in (401, 403) or control:
        return 1 if error.status != 400 else 2
    return 4 if error.code in ("invalid_value", "invalid_type") else 3


def plain(error: ApiError) -> Body:
    code = error.code if error.status == 409 and error.code else str(error.status)
    return {"code": code, "message": HIDDEN if error.status == 404 else str(error)}


def nested(error: ApiError) -> Body:
    return {"code": str(error.status), "message": json.dumps(plain(error))}


def wrapped(error: ApiError) -> Body:
    code = error.code or str(error.status)
    return {"error": {"code": code, "message": str(error), "type": error.kind}}


def passed_on(error: ApiError) -> Body:
    inner = json.dumps({"error": {"message": str(error), "param": error.param}})
    message = f"Status Code from provider: 422, Provider response: {inner}"
    return {"error": {"code": str(error.status), "message": message, "type": error.kind}}


def no_json(_error: ApiError) -> Body:
    return "upstream connect error or disconnect/reset before headers. reset reason: connection termination"


OCI: dict[int, Callable[[ApiError], Body]] = {1: plain, 2: nested, 3: wrapped, 4: passed_on, 5: no_json}

log = logging.getLogger(__name__)


def answer(resp: falcon.Response, outcome: Any) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(outcome).encode()


def register_errors(app: falcon.App[Any, Any], style: Errors) -> None:
    """Without these, the framework would answer in its own shape."""

    def api_error(req: falcon.Request, resp: falcon.Response, error: ApiError, _ids: Any) -> None:
        resp.status = error.status
        shape = OCI.get(req.env.get(REFUSED_ENVIRON, 0))
        control = req.context.get("plane") is Plane.CONTROL
        body = shape(error) if shape else error_body(error, style, control=control)
        if isinstance(body, str):
            resp.content_type, resp.data = falcon.MEDIA_TEXT, body.encode()
        else:
            answer(resp, body)

    app.add_error_handler(ApiError, api_error)
    for caught, reading in READINGS:
        app.add_error_handler(caught, handler(reading, api_error))


def handler(reading: Any, api_error: Any) -> Any:
    def handle(req: falcon.Request, resp: falcon.Response, error: Exception, ids: Any) -> None:
        api_error(req, resp, reading(req, resp, error), ids)

    return handle


def http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError) -> ApiError:
    """The framework's own refusals: unknown path, wrong verb, broken form."""
    sentences = {
        404: f"There is nothing at {req.path}.",
        405: f"{req.method} is not possible at {req.path}.",
    }
    message = sentences.get(error.status_code) or error.description or error.title
    code = error.title.partition(" ")[2].lower().replace(" ", "_") or None
    resp.set_headers(error.headers or {})
    return ApiError(error.status_code, message, code=code)


def cut(_req: falcon.Request, _resp: falcon.Response, error: ConnectionError) -> ApiError:
    """The client went away while sending; whatever is answered, nobody reads it."""
    return ApiError(400, f"The request was cut off: {error}.", code="request_cut_off")


def not_unicode(_req: falcon.Request, _resp: falcon.Response, _error: UnicodeError) -> ApiError:
    """Half a surrogate pair in JSON, or a form that is not UTF-8, is noticed where it would be used."""
    return ApiError(400, "The request is not valid Unicode text.", code="invalid_unicode")


def data_error(_req: falcon.Request, _resp: falcon.Response, error: Exception) -> ApiError:
    """Full disks, damaged files and endless locks are the user's to know about, not ours to hide."""
    log.error("local service: %s", error)
    busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    message = f"The local service's data cannot be used: {error}."
    return ApiError(503 if busy else 500, message, code="local_data_error")


def unexpected(req: falcon.Request, _resp: falcon.Response, _error: Exception) -> ApiError:
    log.exception("local service: %s %s", req.method, req.path)
    return ApiError(500, "The local service failed.", code="internal_error")


READINGS = (
    (Exception, unexpected),
    (ConnectionError, cut),
    (UnicodeError, not_unicode),
    (sqlite3.DatabaseError, data_error),
    (LocalDataError, data_error),
    (falcon.HTTPError, http_error),
)
