"""Credentials: turns an endpoint's kind of authentication into an `httpx.Auth`.

Secrets enter here, from the environment and OCI's own files, and leave only as headers of requests to the
endpoint's two addresses. Nothing here shows one in a message, a repr or a log.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from vssync.auth.command import CommandCredential
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
    if endpoint.auth is AuthKind.BEARER and endpoint.auth_command.value:
        return CommandCredential(endpoint, environment)
    if endpoint.auth.sends_key:
        return bearer_credential(endpoint, environment)
    return iam_credential(endpoint, environment, ask)


def create_credentials(
    endpoint: Endpoint, environment: Mapping[str, str], *, ask: Callable[[str], str] | None = None
) -> tuple[Credential | None, Credential | None]:
    """The credentials for the data and the control address: one for both, or each for its own address alone."""
    if endpoint.embedded:
        return None, None
    if endpoint.control_auth is None:
        credential = create_credential(endpoint, environment, ask=ask)
        return credential, credential
    data = replace(endpoint, control_url=endpoint.data_url)
    control = replace(endpoint, auth=endpoint.control_auth, data_url=endpoint.control_url)
    return create_credential(data, environment, ask=ask), create_credential(control, environment, ask=ask)
