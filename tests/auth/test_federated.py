"""Identities of a machine, from the first token to a renewed one: what gives the tokens stands on this machine.

A proxy plays the instance's metadata, OCI's authentication service and a cluster's token service; the `oci` package is
led to it by the variables it reads, and everything it does is its own.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from tests.api.loopback import Got, Sent, listening, said, self_signed
from tests.auth import builders
from vssync import auth
from vssync.auth.credential import CredentialError
from vssync.auth.iam import federated_credential
from vssync.providers import AuthKind

pytestmark = pytest.mark.oci
AUTH_HOST, CLUSTER = "auth.us-chicago-1.oraclecloud.com", "cluster.example"


@dataclass
class Giver:
    """Gives tokens, each to the public key that came with the request for it; `pem` is a certificate and its key."""

    pem: str
    keys: list[RSAPublicKey] = field(default_factory=list)
    refuses: bool = False

    def __call__(self, got: Got) -> Sent:
        certificate, begin, secret = self.pem.partition("-----BEGIN RSA PRIVATE KEY-----")
        metadata = {
            "/opc/v2/instance/region": "ord\n",
            "/opc/v2/identity/cert.pem": certificate,
            "/opc/v2/identity/intermediate.pem": certificate,
            "/opc/v2/identity/key.pem": begin + secret,
        }
        if got.target in metadata:
            return Sent(200, metadata[got.target])
        if self.refuses:
            return said(403, code="NotAuthorized", message="hush")
        asked = json.loads(got.body)
        found = load_der_public_key(base64.b64decode(asked.get("publicKey") or asked["podKey"]))
        assert isinstance(found, RSAPublicKey)
        self.keys.append(found)
        token = builders.token(f"t{len(self.keys)}")
        if got.headers["host"].startswith(CLUSTER):
            assert got.headers["authorization"] == f"Bearer {builders.token('pod')}"
            return Sent(200, base64.b64encode(json.dumps({"token": f"ST${token}"}).encode()).decode())
        return said(token=token)


@contextmanager
def giving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Giver]:
    certificate = self_signed(folder, AUTH_HOST, CLUSTER, subject=f"opc-tenant:{builders.TENANCY}")
    giver = Giver(certificate.read_text())
    with listening(giver, certificate, proxy=True) as place:
        base = place.url.removesuffix("/v1")
        for name, value in {
            "OCI_METADATA_BASE_URL": f"{base}/opc/v2",
            "HTTPS_PROXY": base,
            "NO_PROXY": "127.0.0.1",
            "REQUESTS_CA_BUNDLE": str(certificate),
            "OCI_KUBERNETES_SERVICE_ACCOUNT_CERT_PATH": str(certificate),
            "KUBERNETES_SERVICE_HOST": CLUSTER,
        }.items():
            monkeypatch.setenv(name, value)
        yield giver


def of_a_pod(_: AuthKind) -> object:
    """As the package builds it, but for the pod's own token, whose file has a fixed place."""
    from oci.auth.signers import get_oke_workload_identity_resource_principal_signer

    return get_oke_workload_identity_resource_principal_signer(service_account_token=builders.token("pod"))


@pytest.mark.parametrize("kind", [AuthKind.INSTANCE_PRINCIPAL, AuthKind.OKE_WORKLOAD_IDENTITY])
def test_a_machine_signs_with_the_token_it_was_given_and_with_a_new_one_after_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: AuthKind
) -> None:
    with giving(tmp_path, monkeypatch) as giver, builders.listening() as service:
        place = builders.endpoint(service.url, kind)
        pod = kind is AuthKind.OKE_WORKLOAD_IDENTITY
        credential = federated_credential(place, of_a_pod) if pod else auth.create_credential(place, {})
        service.statuses = [200, 401]
        with httpx.Client(auth=credential) as client:
            for path in ("/first", "/second"):
                assert client.post(service.url + path, json={"name": "é"}).status_code == 200
    first, second = giver.keys
    assert [got.target for got in service.seen] == ["/v1/first", "/v1/second", "/v1/second"]
    keys = [builders.verify(got, key) for got, key in zip(service.seen, (first, first, second), strict=True)]
    assert keys == [f"ST${builders.token(name)}" for name in ("t1", "t1", "t2")]


def test_a_token_service_that_refuses_is_named_without_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with giving(tmp_path, monkeypatch) as giver, builders.listening() as service:
        credential = auth.create_credential(builders.endpoint(service.url, AuthKind.INSTANCE_PRINCIPAL), {})
        giver.refuses = True
        service.statuses = [401]
        with (
            httpx.Client(auth=credential) as client,
            pytest.raises(CredentialError, match=r"no token could be obtained \(ServiceError\)") as caught,
        ):
            client.get(service.url)
    assert "hush" not in str(caught.value)
    assert len(service.seen) == 1
