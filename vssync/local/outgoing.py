"""Writing responses: outcomes as JSON or as a stream, and every error in the dialect's shape."""

from __future__ import annotations

import json
import logging
import sqlite3
from typing import Any

import falcon

from vssync.local import shapes
from vssync.local.door import Plane
from vssync.local.errors import ApiError, LocalDataError
from vssync.local.options import Errors

log = logging.getLogger(__name__)


def answer(resp: falcon.Response, outcome: Any) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(outcome).encode()


def register_errors(app: falcon.App[Any, Any], style: Errors) -> None:
    """Without these, the framework would answer in its own shape."""

    def api_error(req: falcon.Request, resp: falcon.Response, error: ApiError, _ids: Any) -> None:
        resp.status = error.status
        shape = shapes.OCI.get(req.env.get(shapes.ENVIRON, 0))
        control = req.context.get("plane") is Plane.CONTROL
        body = shape(error) if shape else shapes.body(error, style, control=control)
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
