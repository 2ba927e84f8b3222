"""What every request passes first and every answer last: the address, the key, and headers all answers carry.

OCI has two addresses. Stores themselves live at the control address, everything about their files at the data
address; the inference host answers at both with everything, and the management host takes no bearer key.
"""

from __future__ import annotations

import re
import secrets
from email.utils import formatdate
from enum import StrEnum
from hmac import compare_digest
from typing import Any

import falcon

from vssync.local.dialects import Errors
from vssync.local.engine import Engine
from vssync.local.errors import REFUSAL, ApiError


class Plane(StrEnum):
    DATA = "data"
    CONTROL = "control"
    BOTH = "both"


CONTROL_PATH = "/20231130/openai/v1"
DATA_PATH = "/openai/v1"
STORES = re.compile(r"/vector_stores(/[^/]+)?/?")


class Door:
    """Middleware of the application."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Raises ApiError for what must not come in; afterwards every path begins with `/v1`."""
        options = self._engine.options
        req.context.plane = plane(req.path, req.host) if options.dialect.split else Plane.BOTH
        if refusal := req.env.get(REFUSAL):
            raise refusal
        bearer = bearer_key(req)
        if options.dialect.split and not (bearer or named(req)):
            raise ApiError(401, "The required information to complete authentication was not provided.")
        if options.api_key and not compare_digest(bearer.encode(), options.api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
        if options.dialect.split:
            require_headers(req, signed=not bearer)
            enter(req)

    def process_response(self, _req: falcon.Request, resp: falcon.Response, _resource: Any, _succeeded: bool) -> None:
        """The date is the service's own, so that clients measure ages by one clock."""
        oci = self._engine.options.dialect.errors is Errors.OCI
        resp.set_header("date", formatdate(self._engine.clock(), usegmt=True))
        resp.set_header("opc-request-id" if oci else "x-request-id", f"req_{secrets.token_hex(16)}")


def plane(path: str, host: str) -> Plane | None:
    """Which address this is; None where there is none."""
    if within(path, DATA_PATH):
        return None if management(host) else Plane.DATA
    if within(path, CONTROL_PATH):
        return Plane.BOTH if host.startswith("inference.") else Plane.CONTROL
    return None


def within(path: str, prefix: str) -> bool:
    return path == prefix or path.startswith(f"{prefix}/")


def bearer_key(req: falcon.Request) -> str:
    """The key a request carries; none where it may not carry one."""
    scheme, _, key = (req.get_header("authorization") or "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" and not management(req.host) else ""


def named(req: falcon.Request) -> bool:
    """Whether a request is signed; nothing here verifies by whom."""
    return (req.get_header("authorization") or "").lower().startswith("signature ")


def management(host: str) -> bool:
    return host.startswith("generativeai.")


def require_headers(req: falcon.Request, *, signed: bool) -> None:
    """The sentence for a missing project is misleading because OCI's is."""
    if req.context.plane is not Plane.CONTROL and not req.get_header("openai-project"):
        raise ApiError(400, "Compartment ID must be provided", code="invalid_request")
    if req.context.plane is Plane.CONTROL and signed and not req.get_header("opc-compartment-id"):
        raise ApiError(400, "Missing header opc-compartment-id", code="invalid_request")


def enter(req: falcon.Request) -> None:
    """From an address of OCI's to the one path all share."""
    prefix = DATA_PATH if within(req.path, DATA_PATH) else CONTROL_PATH
    rest = req.path.removeprefix(prefix)
    about_stores = STORES.fullmatch(rest) is not None
    there = {None: False, Plane.DATA: not about_stores, Plane.CONTROL: about_stores, Plane.BOTH: True}
    if not there[req.context.plane]:
        raise ApiError(404, f"There is nothing at {req.path}.", code="not_found")
    req.path = f"/v1{rest}"
