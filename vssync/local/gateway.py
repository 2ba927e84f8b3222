"""What every request passes first and every response last: the address, the key, headers, and the shape of errors.

OCI has two addresses. Stores themselves live at the control address, everything about their files at the data
address; the inference host serves everything at both, and the management host takes no bearer key.
"""

from __future__ import annotations

import json
import logging
import re
import secrets
import sqlite3
from collections.abc import Iterable
from email.utils import formatdate
from enum import StrEnum
from errno import EACCES, EROFS
from functools import lru_cache
from hmac import compare_digest
from pathlib import Path
from typing import Any

import falcon

from vssync.local.dialects import ErrorStyle
from vssync.local.errors import REFUSAL_KEY, ApiError, LocalDataError
from vssync.local.queries import Engine

ENGINE_KEY = "vssync.engine"  # in the WSGI environment: whose request it is
ERROR_SHAPE_KEY = "vssync.error_shape"  # likewise: which of the nine shapes an error is written in
CONTROL_PATH = "/20231130/openai/v1"
DATA_PATH = "/openai/v1"
FIELD_LIST = 7  # the shape that comes with the status 422
STORE_PATH = re.compile(r"/vector_stores(/[^/]+)?/?")

log = logging.getLogger(__name__)


class OciAddress(StrEnum):
    DATA = "data"
    CONTROL = "control"
    BOTH = "both"


class Gateway:
    """Middleware of the application."""

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Raises ApiError for what must not come in; afterwards every path begins with `/v1`."""
        options = req.env[ENGINE_KEY].options
        req.context.address = find_address(req.path, req.host) if options.dialect.split else OciAddress.BOTH
        if refusal := req.env.get(REFUSAL_KEY):
            raise refusal
        authorization = req.get_header("authorization") or ""
        scheme, _, credential = authorization.partition(" ")
        is_bearer = scheme.lower() == "bearer" and not is_management_host(req.host)
        bearer = credential.strip() if is_bearer else ""
        if options.dialect.split and not (bearer or authorization.lower().startswith("signature ")):
            raise ApiError(401, "The required information to complete authentication was not provided.")
        key = bearer or (options.dialect.takes_api_key and req.get_header("api-key")) or ""
        if options.api_key and not compare_digest(key.encode(), options.api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
        if options.dialect.split:
            self._leave_address(req, signed=not bearer)
        elif options.dialect.openai_path and is_within(req.path, DATA_PATH):
            req.path = req.path.removeprefix("/openai")
        if (
            options.dialect.stores_iam_only
            and scheme.lower() != "signature"
            and STORE_PATH.fullmatch(req.path.removeprefix("/v1"))
        ):
            raise ApiError(options.dialect.stores_iam_only, "Authorization failed or requested resource not found.")

    def _leave_address(self, req: falcon.Request, *, signed: bool) -> None:
        """From an address of OCI's, with the headers it requires, to the one path all share; no signature is verified.

        The message for a missing project is misleading because OCI's is.
        """
        is_control = req.context.address is OciAddress.CONTROL
        if not is_control and not req.get_header("openai-project"):
            raise ApiError(400, "Compartment ID must be provided", code="invalid_request")
        if is_control and signed and not req.get_header("opc-compartment-id"):
            raise ApiError(400, "Missing header opc-compartment-id", code="invalid_request")
        path = req.path.removeprefix(DATA_PATH if is_within(req.path, DATA_PATH) else CONTROL_PATH)
        serving = OciAddress.CONTROL if STORE_PATH.fullmatch(path) else OciAddress.DATA
        if req.context.address not in (serving, OciAddress.BOTH):
            raise ApiError(404, f"There is nothing at {req.path}.", code="not_found")
        req.path = f"/v1{path}"

    def process_response(self, req: falcon.Request, resp: falcon.Response, _resource: Any, _succeeded: bool) -> None:
        """The date is the service's own, so that clients measure ages by one clock."""
        engine: Engine = req.env[ENGINE_KEY]
        is_oci = engine.options.dialect.errors is ErrorStyle.OCI
        resp.set_header("date", http_date(int(engine.clock())))
        resp.set_header("opc-request-id" if is_oci else "x-request-id", f"req_{secrets.token_hex(16)}")


@lru_cache(maxsize=16)
def http_date(seconds: int) -> str:
    return formatdate(seconds, usegmt=True)


def find_address(path: str, host: str) -> OciAddress | None:
    """Which address this is; None where there is none."""
    if is_within(path, DATA_PATH):
        return None if is_management_host(host) else OciAddress.DATA
    if is_within(path, CONTROL_PATH):
        return OciAddress.BOTH if host.startswith("inference.") else OciAddress.CONTROL
    return None


def is_within(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def is_management_host(host: str) -> bool:
    return host.startswith("generativeai.")


def error_body(error: ApiError, style: ErrorStyle, shape: int) -> str | dict[str, Any]:
    """The body of an error: JSON, or plain text. `shape` is 1 to 5 of OCI's, 6 to 9 of FastAPI's, 0 elsewhere."""
    message = str(error)
    code = error.code if error.status == 409 and error.code else str(error.status)
    not_found = "Authorization failed or requested resource not found."
    code_and_message = {"code": code, "message": not_found if error.status == 404 else message}
    match shape:
        case 1:
            return code_and_message
        case 2:
            return {"code": str(error.status), "message": json.dumps(code_and_message)}
        case 3:
            kind = error.code if error.code == "unsupported_file" else error.error_type
            return {"error": {"code": error.code or str(error.status), "message": message, "type": kind}}
        case 4:
            inner = json.dumps({"error": {"message": message, "param": error.param}})
            message = f"Status Code from provider: 422, Provider response: {inner}"
            return {"error": {"code": str(error.status), "message": message, "type": error.error_type}}
        case 5:
            return "upstream connect error or disconnect/reset before headers. reset reason: connection termination"
        case 6:
            return {"detail": message}
        case 7:  # FIELD_LIST
            return {"detail": field_errors(error)}
        case 8:
            return {"detail": {"errors": field_errors(error)}}
        case 9:
            return {"error": {"detail": {"errors": field_errors(error)}}}
    if style is ErrorStyle.BARE:
        return {"error": {"message": message}}
    return {"error": {"message": message, "type": error.error_type, "param": error.param, "code": error.code}}


def field_errors(error: ApiError) -> list[dict[str, Any]]:
    """As FastAPI says which field of a body is wrong."""
    steps = [int(step) if step.isdecimal() else step for step in re.findall(r"\w+", error.param or "")]
    return [{"loc": ["body", *steps], "msg": str(error), "type": error.code or "value_error"}]


def own_shape(error: ApiError, style: ErrorStyle, *, control: bool) -> int:
    """Which of the shapes a service chooses for an error; 0 where it has but one."""
    if style is ErrorStyle.OCI:
        return oci_shape(error, control=control)
    return detail_shape(error) if style is ErrorStyle.DETAIL else 0


def detail_shape(error: ApiError) -> int:
    """The framework lists fields that are missing or of a wrong type; the application behind it tells the rest."""
    if error.status != 400 or not error.param:
        return 6
    shapes = {"invalid_type": FIELD_LIST, "missing_required_parameter": FIELD_LIST, "unknown_parameter": 9}
    return shapes.get(error.code or "", 8)


def oci_shape(error: ApiError, *, control: bool) -> int:
    """Which of the five shapes: the control address has two of its own, a provider's refusals are passed on whole."""
    if error.status >= 500:
        return 5
    if error.status in (401, 403) or control:
        return 1 if error.status != 400 else 2
    return 4 if error.code in ("invalid_value", "invalid_type") else 3


def write_json(resp: falcon.Response, body: Any) -> None:
    resp.content_type = falcon.MEDIA_JSON
    resp.data = json.dumps(body).encode()


def register_errors(app: falcon.App[Any, Any], paths: Iterable[str]) -> None:
    """Without these, the framework would answer in its own shape. A 404 for an unknown path names `paths`."""

    def write_error(req: falcon.Request, resp: falcon.Response, error: Exception, _ids: Any) -> None:
        engine: Engine = req.env[ENGINE_KEY]
        style = engine.options.dialect.errors
        api_error = error if isinstance(error, ApiError) else to_api_error(req, error, paths, engine.database.path)
        control = req.context.get("address") is OciAddress.CONTROL
        shape = req.env.get(ERROR_SHAPE_KEY, own_shape(api_error, style, control=control))
        resp.status = 422 if (api_error.status, shape) == (400, FIELD_LIST) else api_error.status
        if isinstance(error, falcon.HTTPError):
            resp.set_headers(error.headers or {})
        body = error_body(api_error, style, shape)
        if isinstance(body, str):
            resp.content_type, resp.data = falcon.MEDIA_TEXT, body.encode()
        else:
            write_json(resp, body)

    app.add_error_handler(Exception, write_error)
    app.add_error_handler(falcon.HTTPError, write_error)  # the framework has a handler for these, which goes before


def to_api_error(req: falcon.Request, error: Exception, paths: Iterable[str], data: Path) -> ApiError:
    if isinstance(error, falcon.HTTPError):  # unknown path, wrong method, broken form
        messages = {
            404: f"There is nothing at {req.path}. This service has {', '.join(paths)}.",
            405: f"{req.method} is not possible at {req.path}.",
        }
        message = messages.get(error.status_code) or error.description or error.title
        code = error.title.partition(" ")[2].lower().replace(" ", "_") or None
        return ApiError(error.status_code, message, code=code)
    if isinstance(error, ConnectionError):  # the client went away while sending, so nobody reads this
        return ApiError(400, f"The request was cut off: {error}.", code="request_cut_off")
    if isinstance(error, UnicodeError):  # half a surrogate pair in JSON, or a form that is not UTF-8
        return ApiError(400, "The request is not valid Unicode text.", code="invalid_unicode")
    if isinstance(error, sqlite3.DatabaseError | LocalDataError | OSError):  # full disks, damaged files, endless locks
        message = str(error) if isinstance(error, LocalDataError) else f"{data}: {error}; {data_advice(error)}"
        log.error("local service: %s", message)
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY:
            return ApiError(503, message, code="local_data_busy")
        return ApiError(500, message, code="local_data_unusable")
    log.error("local service: %s %s", req.method, req.path, exc_info=error)
    return ApiError(500, "The local service failed.", code="internal_error")


def data_advice(error: Exception) -> str:
    """What to do about a database that cannot be read or written."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without what SQLite says beyond
    if code == sqlite3.SQLITE_BUSY:
        return "another process holds it; try again"
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return "it is damaged: move its folder away to start afresh"
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM) or getattr(error, "errno", 0) in (EACCES, EROFS):
        return "make it writable"
    return "make room on its disk, or raise the limit on the size of files"
