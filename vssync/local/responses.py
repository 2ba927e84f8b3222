"""Writing responses: JSON, and every error in the dialect's shape."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Callable, Iterable
from typing import Any

import falcon

from vssync.local.dialects import ErrorStyle
from vssync.local.errors import ApiError, LocalDataError
from vssync.local.gateway import OciAddress

Body = str | dict[str, Any]
ERROR_SHAPE_KEY = "vssync.error_shape"  # in the WSGI environment: which of OCI's shapes an error is written in
NOT_FOUND_OR_FORBIDDEN = "Authorization failed or requested resource not found."

log = logging.getLogger(__name__)


def error_body(error: ApiError, style: ErrorStyle, *, control: bool) -> Body:
    """The body of an error: JSON, or plain text. `control` says which of OCI's addresses it comes from."""
    if style is ErrorStyle.BARE:
        return {"error": {"message": str(error)}}
    if style is ErrorStyle.OCI:
        return OCI_BODIES[oci_shape(error, control=control)](error)
    return {"error": {"message": str(error), "type": error.error_type, "param": error.param, "code": error.code}}


def oci_shape(error: ApiError, *, control: bool) -> int:
    """Which of the five shapes: the control address has two of its own, a provider's refusals are passed on whole."""
    if error.status >= 500:
        return 5
    if error.status in (401, 403) or control:
        return 1 if error.status != 400 else 2
    return 4 if error.code in ("invalid_value", "invalid_type") else 3


def code_and_message(error: ApiError) -> dict[str, Any]:
    code = error.code if error.status == 409 and error.code else str(error.status)
    return {"code": code, "message": NOT_FOUND_OR_FORBIDDEN if error.status == 404 else str(error)}


def nested_message(error: ApiError) -> Body:
    return {"code": str(error.status), "message": json.dumps(code_and_message(error))}


def error_object(error: ApiError) -> Body:
    code = error.code or str(error.status)
    return {"error": {"code": code, "message": str(error), "type": error.error_type}}


def provider_error(error: ApiError) -> Body:
    inner = json.dumps({"error": {"message": str(error), "param": error.param}})
    message = f"Status Code from provider: 422, Provider response: {inner}"
    return {"error": {"code": str(error.status), "message": message, "type": error.error_type}}


def plain_text(_error: ApiError) -> Body:
    return "upstream connect error or disconnect/reset before headers. reset reason: connection termination"


OCI_BODIES: dict[int, Callable[[ApiError], Body]] = {
    1: code_and_message,
    2: nested_message,
    3: error_object,
    4: provider_error,
    5: plain_text,
}


def write_json(resp: falcon.Response, body: Any) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(body).encode()


def register_errors(app: falcon.App[Any, Any], style: ErrorStyle, paths: Iterable[str]) -> None:
    """Without these, the framework would answer in its own shape. A 404 for an unknown path names `paths`."""

    def write_error(req: falcon.Request, resp: falcon.Response, error: Exception, _ids: Any) -> None:
        api_error = error if isinstance(error, ApiError) else to_api_error(req, error, paths)
        resp.status = api_error.status
        if isinstance(error, falcon.HTTPError):
            resp.set_headers(error.headers or {})
        control = req.context.get("address") is OciAddress.CONTROL
        if shape := OCI_BODIES.get(req.env.get(ERROR_SHAPE_KEY, 0)):
            body = shape(api_error)
        else:
            body = error_body(api_error, style, control=control)
        if isinstance(body, str):
            resp.content_type, resp.data = falcon.MEDIA_TEXT, body.encode()
        else:
            write_json(resp, body)

    app.add_error_handler(Exception, write_error)
    app.add_error_handler(falcon.HTTPError, write_error)  # the framework has a handler for these, which goes before


def to_api_error(req: falcon.Request, error: Exception, paths: Iterable[str]) -> ApiError:
    if isinstance(error, falcon.HTTPError):
        return framework_error(req, error, paths)
    if isinstance(error, ConnectionError):  # the client went away while sending, so nobody reads this
        return ApiError(400, f"The request was cut off: {error}.", code="request_cut_off")
    if isinstance(error, UnicodeError):  # half a surrogate pair in JSON, or a form that is not UTF-8
        return ApiError(400, "The request is not valid Unicode text.", code="invalid_unicode")
    if isinstance(error, sqlite3.DatabaseError | LocalDataError):  # full disks, damaged files, endless locks
        log.error("local service: %s", error)
        is_busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        message = f"The local service's data cannot be used: {error}."
        return ApiError(503 if is_busy else 500, message, code="local_data_error")
    log.error("local service: %s %s", req.method, req.path, exc_info=error)
    return ApiError(500, "The local service failed.", code="internal_error")


def framework_error(req: falcon.Request, error: falcon.HTTPError, paths: Iterable[str]) -> ApiError:
    """The framework's own refusals: unknown path, wrong method, broken form."""
    messages = {
        404: f"There is nothing at {req.path}. This service has {', '.join(paths)}.",
        405: f"{req.method} is not possible at {req.path}.",
    }
    message = messages.get(error.status_code) or error.description or error.title
    code = error.title.partition(" ")[2].lower().replace(" ", "_") or None
    return ApiError(error.status_code, message, code=code)
