"""What every request passes first and every response last: the address, the key, and headers all responses carry.

OCI has two addresses. Stores themselves live at the control address, everything about their files at the data
address; the inference host serves everything at both, and the management host takes no bearer key.
"""

from __future__ import annotations

import re
import secrets
from email.utils import formatdate
from enum import StrEnum
from hmac import compare_digest
from typing import Any

import falcon

from vssync.local.dialects import ErrorStyle
from vssync.local.errors import REFUSAL_KEY, ApiError
from vssync.local.transaction import Engine


class OciAddress(StrEnum):
    DATA = "data"
    CONTROL = "control"
    BOTH = "both"


CONTROL_PATH = "/20231130/openai/v1"
DATA_PATH = "/openai/v1"
STORE_PATH = re.compile(r"/vector_stores(/[^/]+)?/?")


class Gateway:
    """Middleware of the application."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        """Raises ApiError for what must not come in; afterwards every path begins with `/v1`."""
        options = self._engine.options
        req.context.address = find_address(req.path, req.host) if options.dialect.split else OciAddress.BOTH
        if refusal := req.env.get(REFUSAL_KEY):
            raise refusal
        authorization = req.get_header("authorization") or ""
        scheme, _, credential = authorization.partition(" ")
        is_bearer = scheme.lower() == "bearer" and not is_management_host(req.host)
        bearer = credential.strip() if is_bearer else ""
        if options.dialect.split and not (bearer or authorization.lower().startswith("signature ")):
            raise ApiError(401, "The required information to complete authentication was not provided.")
        if options.api_key and not compare_digest(bearer.encode(), options.api_key.encode()):
            raise ApiError(401, "Incorrect API key provided.", code="invalid_api_key")
        if options.dialect.split:
            require_headers(req, signed=not bearer)
            normalize_path(req)

    def process_response(self, _req: falcon.Request, resp: falcon.Response, _resource: Any, _succeeded: bool) -> None:
        """The date is the service's own, so that clients measure ages by one clock."""
        is_oci = self._engine.options.dialect.errors is ErrorStyle.OCI
        resp.set_header("date", formatdate(self._engine.clock(), usegmt=True))
        resp.set_header("opc-request-id" if is_oci else "x-request-id", f"req_{secrets.token_hex(16)}")


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


def require_headers(req: falcon.Request, *, signed: bool) -> None:
    """The message for a missing project is misleading because OCI's is. No signature is verified."""
    is_control = req.context.address is OciAddress.CONTROL
    if not is_control and not req.get_header("openai-project"):
        raise ApiError(400, "Compartment ID must be provided", code="invalid_request")
    if is_control and signed and not req.get_header("opc-compartment-id"):
        raise ApiError(400, "Missing header opc-compartment-id", code="invalid_request")


def normalize_path(req: falcon.Request) -> None:
    """From an address of OCI's to the one path all share."""
    prefix = DATA_PATH if is_within(req.path, DATA_PATH) else CONTROL_PATH
    path = req.path.removeprefix(prefix)
    serving = OciAddress.CONTROL if STORE_PATH.fullmatch(path) else OciAddress.DATA
    if req.context.address not in (serving, OciAddress.BOTH):
        raise ApiError(404, f"There is nothing at {req.path}.", code="not_found")
    req.path = f"/v1{path}"
