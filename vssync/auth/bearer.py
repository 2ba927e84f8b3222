"""A secret sent along with every request. The key comes from the environment, never from a manifest or a flag."""

from __future__ import annotations

import re
from collections.abc import Mapping

import httpx

from vssync.auth.credential import Credential, CredentialError, Flow
from vssync.endpoints import Endpoint

_KEY = re.compile(r"[\x21-\x7e]+")


class BearerCredential(Credential):
    """Sends a key; `source` is the variable it came from."""

    def __init__(self, endpoint: Endpoint, key: str, source: str) -> None:
        super().__init__(endpoint, f"bearer key from {source}")
        self._key = key

    def authenticate(self, request: httpx.Request) -> Flow:
        """Adds the key."""
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def bearer_credential(endpoint: Endpoint, environment: Mapping[str, str]) -> BearerCredential:
    """The key of this endpoint's provider.

    Raises CredentialError, naming the variables, where none is set or what is set cannot be a key.
    """
    names = endpoint.provider.key_variables
    source = next((name for name in names if environment.get(name, "").strip()), "")
    if not source:
        raise CredentialError(f"bearer key: not set; put the key of {endpoint.provider.name} into {' or '.join(names)}")
    key = environment[source].strip()  # a key read from a file brings its line end along
    if not _KEY.fullmatch(key):
        raise CredentialError(
            f"{source}: holds a character that no key has, such as a space, a line end or a typographic quote"
        )
    return BearerCredential(endpoint, key, source)
