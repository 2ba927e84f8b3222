"""Credentials: turns an endpoint's kind of authentication into an `httpx.Auth`.

Secrets enter here, from the environment and OCI's own files, and leave only as headers of requests to the
endpoint's two addresses. Nothing here shows one in a message, a repr or a log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from vssync.auth.credential import Credential, bearer_credential
from vssync.auth.iam import iam_credential
from vssync.endpoints import Endpoint
from vssync.providers import AuthKind


def create_credential(
    endpoint: Endpoint, environment: Mapping[str, str], *, ask: Callable[[str], str] | None = None
) -> Credential | None:
    """The credential for an endpoint, None where it takes none. `ask` asks a person for a key's passphrase.

    Raises CredentialError where it is missing, cannot be read, or has expired.
    """
    if endpoint.auth is AuthKind.NONE:
        return None
    if endpoint.auth.sends_key:
        return bearer_credential(endpoint, environment)
    return iam_credential(endpoint, environment, ask)
