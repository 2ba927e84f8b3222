"""The bodies of errors, as each kind of service writes them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from vssync.local.errors import ApiError
from vssync.local.options import Errors

Body = str | dict[str, Any]
ENVIRON = "vssync.error_shape"  # in the WSGI environment: the one of OCI's shapes that an error is written in
HIDDEN = "Authorization failed or requested resource not found."


def body(error: ApiError, style: Errors, *, control: bool = False) -> Body:
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
