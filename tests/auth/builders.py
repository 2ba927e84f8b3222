"""Keys, configuration files and tokens as a user of OCI has them, and a service that keeps what reached it."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.hashes import MD5, SHA256, Hash
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from tests.api import loopback
from tests.api.loopback import Got, Sent
from vssync.endpoints import Endpoint
from vssync.providers import OCI, AuthKind

TENANCY, USER = "ocid1.tenancy.oc1..aaaa", "ocid1.user.oc1..bbbb"
FUTURE, PAST = 32503680000, 946684800  # 3000-01-01, 2000-01-01


def rsa(number: int = 0) -> RSAPrivateKey:
    """A key; equal numbers give equal keys."""
    return _rsa(number)


@cache
def _rsa(number: int) -> RSAPrivateKey:
    return generate_private_key(65537, 2048)


def pem(key: Any, phrase: str = "") -> bytes:
    encryption = BestAvailableEncryption(phrase.encode()) if phrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)  # type: ignore[no-any-return]  # any key


def unknown_pem() -> bytes:
    """A key of an algorithm nobody has: Ed25519's form under another identifier."""
    der = Ed25519PrivateKey.generate().private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    text = base64.encodebytes(der.replace(b"\x2b\x65\x70", b"\x2b\x65\x7f")).decode()
    return f"-----BEGIN PRIVATE KEY-----\n{text}-----END PRIVATE KEY-----\n".encode()


def public_pem(key: RSAPrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: RSAPrivateKey) -> str:
    digest = Hash(MD5())
    digest.update(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return digest.finalize().hex(":")


def token(name: str = "t", expires: Any = FUTURE) -> str:
    """A session token: only its payload is read, and nobody here checks its signature."""
    parts = ({"alg": "none"}, {"sub": name, "exp": expires, "iat": 0})
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts) + ".sig"


def section(**settings: str) -> dict[str, str]:
    """A profile that signs with `rsa()`; an empty setting is left out. `write_home` fills in the fingerprint."""
    usual = {"tenancy": TENANCY, "user": USER, "fingerprint": "FINGERPRINT", "key_file": "~/.oci/key.pem"}
    return {name: value for name, value in (usual | settings).items() if value}


def write_home(
    home: Path, profiles: Mapping[str, Mapping[str, str]], files: Mapping[str, bytes | str] = MappingProxyType({})
) -> dict[str, str]:
    """A home with `.oci/config`, an unencrypted `.oci/key.pem`, and other files by name; gives the environment."""
    folder = home / ".oci"
    folder.mkdir(parents=True, exist_ok=True)
    lines = [[f"[{name}]", *(f"{key}={value}" for key, value in profile.items())] for name, profile in profiles.items()]
    config = "\n".join(line for profile in lines for line in profile)
    (folder / "config").write_text(config.replace("FINGERPRINT", fingerprint(rsa())))
    (folder / "key.pem").write_bytes(pem(rsa()) + b"OCI_API_KEY\n")  # the console's label, behind the key
    for name, content in files.items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return {"HOME": str(home)}


def endpoint(
    url: str = "https://localhost/openai/v1", auth: AuthKind = AuthKind.SIGNING_KEY, **fields: Any
) -> Endpoint:
    return Endpoint(OCI, url, url, {}, {}, auth, **fields)


def verify(seen: Got, key: RSAPrivateKey | RSAPublicKey) -> str:
    """Checks a signature by OCI's published rules, from what was received alone; gives the id of its key."""
    scheme, _, rest = seen.headers["authorization"].partition(" ")
    fields = dict(re.findall(r'(\w+)="([^"]*)"', rest))
    names = fields["headers"].split(" ")
    assert (scheme, fields["version"], fields["algorithm"]) == ("Signature", "1", "rsa-sha256")
    expected = {"date", "(request-target)", "host"}
    if seen.method == "POST":
        expected |= {"content-length", "content-type", "x-content-sha256"}
        assert seen.headers["x-content-sha256"] == base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
        assert int(seen.headers["content-length"]) == len(seen.body)
    assert set(names) == expected
    known = {**seen.headers, "(request-target)": f"{seen.method.lower()} {seen.target}"}
    text = "\n".join(f"{name}: {known[name]}" for name in names).encode("ascii")
    public = key if isinstance(key, RSAPublicKey) else key.public_key()
    public.verify(base64.b64decode(fields["signature"]), text, PKCS1v15(), SHA256())
    return str(fields["keyId"])


@dataclass
class Service:
    """A service on this machine. It answers with `statuses` in turn, then with 200, and keeps what it saw."""

    url: str
    statuses: list[int] = field(default_factory=list)
    seen: list[Got] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Service]:
    """A service that listens as long as the context lasts."""

    def answer(_: Got) -> Sent:
        return Sent(service.statuses.pop(0) if service.statuses else 200)

    with loopback.listening(answer) as place:
        service = Service(place.url, seen=place.got)
        yield service
