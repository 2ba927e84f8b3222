"""Signers of OCI's identity service, from the optional `oci` package, imported only when one is asked for.

Where that package fails, messages name the kind of failure but not its words, which may quote tokens. The kinds
that depend on the machine (instance, resource and workload) read the process environment inside that package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from vssync.auth import session
from vssync.auth.credential import CredentialError
from vssync.auth.keys import PASSPHRASE, fingerprint, unlock
from vssync.auth.profile import Profile, read_profile
from vssync.auth.signed import Signed, Signer
from vssync.endpoints import Endpoint
from vssync.providers import AuthKind

Ask = Callable[[str], str]
Phrases = Callable[[Profile, Path], Iterator[str]]

_WHERE = {
    AuthKind.INSTANCE_PRINCIPAL: "it works only on an OCI compute instance",
    AuthKind.RESOURCE_PRINCIPAL: "it works only where OCI sets OCI_RESOURCE_PRINCIPAL_VERSION, as in a function",
    AuthKind.OKE_WORKLOAD_IDENTITY: "it works only in a pod of an enhanced OKE cluster, with a service account",
}


def iam(endpoint: Endpoint, environment: Mapping[str, str], ask: Ask | None) -> Signed:
    """The signer that an endpoint's kind of authentication names.

    Raises CredentialError.
    """
    _require_package(endpoint.auth)
    if endpoint.auth in _WHERE:
        return federated(endpoint)
    profile = read_profile(endpoint.profile, environment)
    phrases = _phrases(environment, ask)
    # A profile with a session of its own is one, whatever else it inherits that looks like a user's key.
    if endpoint.auth is AuthKind.SECURITY_TOKEN or "security_token_file" in profile.own:
        return _session(endpoint, profile, phrases)
    return _signing_key(endpoint, profile, phrases)


def _require_package(kind: AuthKind) -> None:
    try:
        import oci  # noqa: F401  # only whether it can be imported
    except ImportError:
        raise CredentialError(
            f"auth {kind}: needs the `oci` package, which is not installed; pip install 'vssync[oci]'"
        ) from None


def _phrases(environment: Mapping[str, str], ask: Ask | None) -> Phrases:
    """What to try on a profile's key, in order. A person is asked last, and once, also when it is read again."""
    asked = cache(ask) if ask else None

    def phrases(profile: Profile, key: Path) -> Iterator[str]:
        yield environment.get(PASSPHRASE, "")
        yield profile.get("pass_phrase")
        if asked:
            yield asked(f"Passphrase of {key}: ")

    return phrases


def _signing_key(endpoint: Endpoint, profile: Profile, phrases: Phrases) -> Signed:
    from oci.signer import Signer as KeySigner

    tenancy, user, claimed = (profile.identifier(setting) for setting in ("tenancy", "user", "fingerprint"))
    path, pem = profile.read("key_file")
    signer = unlock(
        lambda phrase: KeySigner(tenancy, user, claimed, None, phrase, pem),
        path,
        phrases(profile, path),
    )
    actual = fingerprint(signer.private_key, path)
    if actual != claimed:
        raise CredentialError(
            f"profile {profile.name} of {profile.file}: its `fingerprint` {claimed} is not that of {path}, which is "
            f"{actual}; one of the two belongs to another key"
        )
    return Signed(endpoint, f"signing key of profile {profile.name} in {profile.file}, user {user}", signer)


def _session(endpoint: Endpoint, profile: Profile, phrases: Phrases) -> Signed:
    """A session's files are read again when the service refuses: somebody may have renewed it meanwhile."""
    from oci.auth.signers import SecurityTokenSigner
    from oci.signer import load_private_key

    def read() -> Signer:
        token = session.token(profile)
        path, pem = profile.read("key_file", own=True)  # the token was given to this key, not to an inherited one
        key = unlock(lambda phrase: load_private_key(pem, phrase), path, phrases(profile, path))
        fingerprint(key, path)
        signer: Signer = SecurityTokenSigner(token, key)
        return signer

    return Signed(endpoint, f"session of profile {profile.name} in {profile.file}", read(), read)


def federated(endpoint: Endpoint, build: Callable[[AuthKind], object] | None = None) -> Signed:
    """A signer, as that package builds it, that gets its token from where it runs.

    Some kinds renew an old token when they are called, which is inside our lock; all of them after a 401.
    """
    kind = endpoint.auth

    def guarded(call: Callable[..., Any]) -> Callable[..., Any]:
        def speak(*arguments: Any) -> Any:
            try:
                return call(*arguments)
            except Exception as error:  # the package raises whatever its HTTP library and its parsers raise
                raise CredentialError(
                    f"auth {kind}: no token to be had ({type(error).__name__}); {_WHERE[kind]}"
                ) from None

        return speak

    signer = guarded(build or _build)(kind)
    sign = guarded(signer)

    def renew() -> Signer:
        guarded(signer.refresh_security_token)()
        return sign

    return Signed(endpoint, kind.replace("_", " "), sign, renew)


def _build(kind: AuthKind) -> Any:
    from oci.auth import signers
    from oci.retry import RetryStrategyBuilder

    if kind is AuthKind.RESOURCE_PRINCIPAL:
        return signers.get_resource_principals_signer()
    # The package's own strategy takes minutes to find out that this is no instance, or no pod of the right kind.
    patience = RetryStrategyBuilder(max_attempts=3, total_elapsed_time_seconds=30).get_retry_strategy()
    if kind is AuthKind.OKE_WORKLOAD_IDENTITY:
        return signers.get_oke_workload_identity_resource_principal_signer(retry_strategy=patience)
    return signers.InstancePrincipalsSecurityTokenSigner(retry_strategy=patience)
