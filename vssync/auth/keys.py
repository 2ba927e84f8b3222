"""Private keys in files: which passphrase opens one, and whether it is of a kind that OCI accepts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from vssync.auth.credential import CredentialError

Key = TypeVar("Key")
PASSPHRASE = "OCI_CLI_PASSPHRASE"  # the variable of OCI's own command line
_NOT_A_KEY = "not a private key in PEM form that can be read; `key_file` must not name the public key"


def unlock_key(build: Callable[[bytes | None], Key], path: Path, passphrases: Iterable[str]) -> Key:
    """The result of `build` for the key at `path`, with the first passphrase that opens it, or None if it needs none.

    Raises CredentialError.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from oci.exceptions import InvalidPrivateKey, MissingPrivateKeyPassphrase

    try:
        return build(None)
    except MissingPrivateKeyPassphrase:
        pass
    except (InvalidPrivateKey, UnsupportedAlgorithm):
        raise CredentialError(f"{path}: {_NOT_A_KEY}") from None
    tried = False
    for passphrase in filter(None, passphrases):
        tried = True
        try:
            return build(passphrase.encode())
        except InvalidPrivateKey:
            continue
    if tried:
        raise CredentialError(
            f"{path}: none of the given passphrases opens it; {PASSPHRASE} is tried first, then `pass_phrase`"
        )
    raise CredentialError(f"{path}: needs a passphrase; put it into {PASSPHRASE}, or run in a terminal to be asked")


def key_fingerprint(key: object, path: Path) -> str:
    """An RSA key's fingerprint as OCI shows it.

    Raises CredentialError for any other kind of key.
    """
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    if not isinstance(key, RSAPrivateKey):
        raise CredentialError(f"{path}: not an RSA key; OCI accepts no other")
    public = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.md5(public, usedforsecurity=False).digest().hex(":")
