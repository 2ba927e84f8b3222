"""What all credentials share: they are sent to their own service only, and never shown."""

from __future__ import annotations

from collections.abc import Generator

import httpx

from vssync.endpoints import Endpoint
from vssync.errors import VssyncError


class CredentialError(VssyncError):
    """A credential is missing, cannot be read, or has expired. The message never holds any part of it."""


Flow = Generator[httpx.Request, httpx.Response, None]


class Credential(httpx.Auth):
    """Puts a credential on requests to an endpoint's own addresses. `identity` says whose it is, without a secret."""

    def __init__(self, endpoint: Endpoint, identity: str) -> None:
        self.identity = identity
        self._origins = frozenset(_origin(httpx.URL(url)) for url in (endpoint.data_url, endpoint.control_url))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.identity}>"

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Sends the request with the credential.

        Raises CredentialError for a request to any other address, whoever built it.
        """
        if _origin(request.url) not in self._origins:
            raise CredentialError(f"{request.url.host}: not an address of this service; no credential is sent there")
        yield from self.authenticate(request)

    def authenticate(self, request: httpx.Request) -> Flow:
        """Adds the proof and sends the request, as `httpx.Auth.auth_flow` does."""
        raise NotImplementedError


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port
