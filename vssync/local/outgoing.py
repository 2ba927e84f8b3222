"""Writing responses: outcomes as JSON or as a stream, and every error in OpenAI's shape."""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
from typing import Any

import falcon

from vssync.local.errors import ApiError, LocalDataError

log = logging.getLogger(__name__)


def answer(resp: falcon.Response, outcome: Any) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(outcome).encode()
    resp.set_header("x-request-id", f"req_{secrets.token_hex(16)}")
    resp.set_header("openai-poll-after-ms", "1")  # each look does work, so there is nothing to wait for


def register_errors(app: falcon.App[Any, Any]) -> None:
    """Without these, the framework would answer in its own shape."""
    app.add_error_handler(Exception, unexpected)
    app.add_error_handler(ConnectionError, cut)
    app.add_error_handler(UnicodeError, not_unicode)
    app.add_error_handler(sqlite3.DatabaseError, data_error)
    app.add_error_handler(LocalDataError, data_error)
    app.add_error_handler(falcon.HTTPError, http_error)
    app.add_error_handler(ApiError, api_error)


def api_error(_req: falcon.Request, resp: falcon.Response, error: ApiError, _ids: Any) -> None:
    resp.status = error.status
    answer(resp, error.body())


def http_error(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, ids: Any) -> None:
    """The framework's own refusals: unknown path, wrong verb, broken form."""
    sentences = {
        404: f"There is nothing at {req.path}.",
        405: f"{req.method} is not possible at {req.path}.",
    }
    message = sentences.get(error.status_code) or error.description or error.title
    code = error.title.partition(" ")[2].lower().replace(" ", "_") or None
    resp.set_headers(error.headers or {})
    api_error(req, resp, ApiError(error.status_code, message, code=code), ids)


def cut(req: falcon.Request, resp: falcon.Response, error: ConnectionError, ids: Any) -> None:
    """The client went away while sending; whatever is answered, nobody reads it."""
    api_error(req, resp, ApiError(400, f"The request was cut off: {error}.", code="request_cut_off"), ids)


def not_unicode(req: falcon.Request, resp: falcon.Response, _error: UnicodeError, ids: Any) -> None:
    """Half a surrogate pair in JSON, or a form that is not UTF-8, is noticed where it would be used."""
    api_error(req, resp, ApiError(400, "The request is not valid Unicode text.", code="invalid_unicode"), ids)


def data_error(req: falcon.Request, resp: falcon.Response, error: Exception, ids: Any) -> None:
    """Full disks, damaged files and endless locks are the user's to know about, not ours to hide."""
    log.error("local service: %s", error)
    busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
    message = f"The local service's data cannot be used: {error}."
    api_error(req, resp, ApiError(503 if busy else 500, message, code="local_data_error"), ids)


def unexpected(req: falcon.Request, resp: falcon.Response, _error: Exception, ids: Any) -> None:
    log.exception("local service: %s %s", req.method, req.path)
    api_error(req, resp, ApiError(500, "The local service failed.", code="internal_error"), ids)
