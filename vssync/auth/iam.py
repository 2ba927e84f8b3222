"""Signers of OCI's identity service and the keys they need, from the optional `oci` package, imported when asked for.

Where that package fails, messages name the kind of failure but do not quote it, since it may hold tokens.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from vssync.auth.credential import CredentialError
from vssync.auth.profile import Profile, read_profile, read_session_token
from vssync.auth.signed import Signer, SigningCredential
from vssync.endpoints import Endpoint
from vssync.providers import AuthKind

Key = TypeVar("Key")
Ask = Callable[[str], str]
Passphrases = Callable[[Profile, Path], Iterator[str]]

PASSPHRASE = "OCI_CLI_PASSPHRASE"  # the variable of OCI's own command line
_NOT_A_KEY = "not a private key in PEM form that can be read; `key_file` must not name the public key"
_REQUIREMENTS = {
    AuthKind.INSTANCE_PRINCIPAL: "it works only on an OCI compute instance",
    AuthKind.RESOURCE_PRINCIPAL: "it works only where OCI sets OCI_RESOURCE_PRINCIPAL_VERSION, such as in a function",
    AuthKind.OKE_WORKLOAD_IDENTITY: "it works only in a pod of an enhanced OKE cluster, with a service account",
}


def iam_credential(endpoint: Endpoint, environment: Mapping[str, str], ask: Ask | None) -> SigningCredential:
    """The signer that an endpoint's kind of authentication names. Raises CredentialError."""
    try:
        import oci  # noqa: F401  # only whether it can be imported
    except ImportError:
        instead = "" if endpoint.control_auth else ", or use a bearer key (--auth bearer)"
        raise CredentialError(
            f"auth {endpoint.auth}: needs the `oci` package, which is not installed; pip install 'vssync[oci]'{instead}"
        ) from None
    if endpoint.auth in _REQUIREMENTS:
        return federated_credential(endpoint)
    profile = read_profile(endpoint.profile, environment)
    asked = cache(ask) if ask else None

    def passphrases(profile: Profile, key: Path) -> Iterator[str]:
        """What to try on a profile's key, in order. A person is asked last, and only once."""
        yield environment.get(PASSPHRASE, "")
        yield profile.get("pass_phrase")
        if asked:
            yield asked(f"Passphrase of {key}: ")

    # A profile with a session of its own uses it, whatever user's key it inherits.
    if endpoint.auth is AuthKind.SECURITY_TOKEN or "security_token_file" in profile.own:
        return _session_credential(endpoint, profile, passphrases)
    return _signing_key_credential(endpoint, profile, passphrases)


def _signing_key_credential(endpoint: Endpoint, profile: Profile, passphrases: Passphrases) -> SigningCredential:
    from oci.signer import Signer as KeySigner

    tenancy, user, expected = (profile.identifier(setting) for setting in ("tenancy", "user", "fingerprint"))
    path, pem = profile.read_file("key_file")
    signer = unlock_key(
        lambda passphrase: KeySigner(tenancy, user, expected, None, passphrase, pem), path, passphrases(profile, path)
    )
    actual = key_fingerprint(signer.private_key, path)
    if actual != expected:
        raise CredentialError(
            f"profile {profile.name} of {profile.file}: its `fingerprint` {expected} is not that of {path}, which is "
            f"{actual}; one of the two belongs to another key"
        )
    return SigningCredential(endpoint, f"signing key of profile {profile.name} in {profile.file}, user {user}", signer)


def _session_credential(endpoint: Endpoint, profile: Profile, passphrases: Passphrases) -> SigningCredential:
    """A session's files are read again when the service refuses: somebody may have renewed it meanwhile."""
    from oci.auth.signers import SecurityTokenSigner
    from oci.signer import load_private_key

    def read() -> Signer:
        token = read_session_token(profile)
        path, pem = profile.read_file("key_file", own=True)  # the token was given to this key, not to an inherited one
        key = unlock_key(lambda passphrase: load_private_key(pem, passphrase), path, passphrases(profile, path))
        key_fingerprint(key, path)
        signer: Signer = SecurityTokenSigner(token, key)
        return signer

    return SigningCredential(endpoint, f"session of profile {profile.name} in {profile.file}", read(), read)


def federated_credential(endpoint: Endpoint, build: Callable[[AuthKind], object] | None = None) -> SigningCredential:
    """A credential whose token comes from the machine it runs on, through a signer of the package.

    Some kinds renew an old token when they are called, which is inside our lock; all of them after a 401.
    """
    kind = endpoint.auth

    def with_error(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any) -> Any:
            try:
                return call(*arguments)
            except Exception as error:  # the package raises whatever its HTTP library and its parsers raise
                raise CredentialError(
                    f"auth {kind}: no token could be obtained ({type(error).__name__}); {_REQUIREMENTS[kind]}"
                ) from None

        return wrapper

    signer = with_error(build or _build_signer)(kind)
    sign = with_error(signer)

    def renew() -> Signer:
        with_error(signer.refresh_security_token)()
        return sign

    return SigningCredential(endpoint, kind.replace("_", " "), sign, renew)


def _build_signer(kind: AuthKind) -> Any:
    from oci.auth import signers
    from oci.retry import RetryStrategyBuilder

    if kind is AuthKind.RESOURCE_PRINCIPAL:
        return signers.get_resource_principals_signer()
    # The package's own strategy takes minutes to notice that this is not an instance, or not a pod of the right kind.
    retries = RetryStrategyBuilder(max_attempts=3, total_elapsed_time_seconds=30).get_retry_strategy()
    if kind is AuthKind.OKE_WORKLOAD_IDENTITY:
        return signers.get_oke_workload_identity_resource_principal_signer(retry_strategy=retries)
    return signers.InstancePrincipalsSecurityTokenSigner(retry_strategy=retries)


def unlock_key(build: Callable[[bytes | None], Key], path: Path, passphrases: Iterable[str]) -> Key:
    """What `build` makes of a key without, or with the first passphrase that opens it. Raises CredentialError."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from oci.exceptions import InvalidPrivateKey, MissingPrivateKeyPassphrase

    try:
        return build(None)
    except MissingPrivateKeyPassphrase:
        pass
    except (InvalidPrivateKey, UnsupportedAlgorithm):
        raise CredentialError(f"{path}: {_NOT_A_KEY}") from None
    problem = f"needs a passphrase; put it into {PASSPHRASE}, or run in a terminal to be asked"
    for passphrase in filter(None, passphrases):
        problem = f"none of the given passphrases opens it; {PASSPHRASE} is tried first, then `pass_phrase`"
        with suppress(InvalidPrivateKey):
            return build(passphrase.encode())
    raise CredentialError(f"{path}: {problem}")


def key_fingerprint(key: object, path: Path) -> str:
    """An RSA key's fingerprint as OCI shows it. Raises CredentialError for any other kind of key."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{path}: not an RSA key; OCI accepts no other")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(public, usedforsecurity=False).digest().hex(":")
