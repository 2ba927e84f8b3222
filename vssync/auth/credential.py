"""What all credentials share: they are sent to their own service only, and never shown. And bearer keys."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Generator, Mapping

import httpx

from vssync.endpoints import Endpoint
from vssync.errors import VssyncError
from vssync.providers import AuthKind
from vssync.text import is_unedited


class CredentialError(VssyncError):
    """A credential is missing, cannot be read, or has expired. The message never holds any part of it."""


_KEY = re.compile(r"[\x21-\x7e]+")
_MAX_EXPIRY = 253402300799  # 9999-12-31, the last day a calendar prints
Flow = Generator[httpx.Request, httpx.Response, None]


class Credential(httpx.Auth):
    """Puts a credential on requests to an endpoint's own addresses. `identity` says whose it is, without a secret."""

    def __init__(self, endpoint: Endpoint, identity: str) -> None:
        self.identity = identity
        self._origins = frozenset(_origin(httpx.URL(url)) for url in (endpoint.data_url, endpoint.control_url))

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.identity}>"

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Sends the request with the credential. Raises CredentialError for any other address, whoever built it."""
        if _origin(request.url) not in self._origins:
            raise CredentialError(f"{request.url.host}: not an address of this service; no credential is sent there")
        yield from self.authenticate(request)

    def authenticate(self, request: httpx.Request) -> Flow:
        """Adds the proof and sends the request, as `httpx.Auth.auth_flow` does."""
        raise NotImplementedError


def _origin(url: httpx.URL) -> tuple[str, bytes, int | None]:
    return url.scheme, url.raw_host, url.port


class BearerCredential(Credential):
    """Sends a key, as bearer key or in the header `api-key`; `source` is the variable it came from."""

    def __init__(self, endpoint: Endpoint, key: str, source: str) -> None:
        is_bearer = endpoint.auth is not AuthKind.API_KEY
        super().__init__(endpoint, f"{'bearer key' if is_bearer else 'API key'} from {source}")
        self._header, self._value = ("Authorization", f"Bearer {key}") if is_bearer else ("api-key", key)

    def authenticate(self, request: httpx.Request) -> Flow:
        """Adds the key."""
        request.headers[self._header] = self._value
        yield request


def bearer_credential(endpoint: Endpoint, environment: Mapping[str, str]) -> BearerCredential:
    """The key of this endpoint's provider. Raises CredentialError where none is set or it cannot be a key."""
    names = endpoint.provider.key_variables
    source = next((name for name in names if environment.get(name, "").strip()), "")
    if not source:
        raise CredentialError(f"bearer key: not set; put the key of {endpoint.provider.name} into {' or '.join(names)}")
    key = environment[source].strip()  # a key read from a file brings its line end along
    if not _KEY.fullmatch(key):
        raise CredentialError(
            f"{source}: holds a character that no key has, such as a space, a line end or a typographic quote"
        )
    if is_unedited(key):
        raise CredentialError(f"{source}: still holds a placeholder; put the key itself there")
    return BearerCredential(endpoint, key, source)


def token_expiry(token: str) -> int | None:
    """When a JSON Web Token expires, in seconds since the epoch, unverified; None where it does not say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return min(max(int(claims["exp"]), 0), _MAX_EXPIRY)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return None
