"""Real signers against an independent verifier, over a real connection."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.exceptions import InvalidSignature

from tests.auth import builders
from vssync import auth
from vssync.auth.credential import CredentialError
from vssync.providers import AuthKind

pytestmark = pytest.mark.oci
REQUESTS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", "/vector_stores?limit=100&after=vs_1&order=asc", {}),
    ("POST", "/vector_stores", {"json": {"name": "Führer durch die Hilfe", "metadata": {}}}),
    ("POST", "/vector_stores/vs_1/file_batches/vsfb_1/cancel", {}),
    ("DELETE", "/vector_stores/vs_1/files/file-1", {}),
    (
        "POST",
        "/files",
        {
            "data": {"purpose": "assistants"},
            "files": {"file": ("é.md", io.BytesIO(b"\x00text\r\n" * 20000), "text/plain")},
        },
    ),
]


@pytest.mark.parametrize(("method", "path", "body"), REQUESTS, ids=["get", "json", "empty", "delete", "multipart"])
def test_every_kind_of_request_is_signed_as_it_arrives(tmp_path: Path, method: str, path: str, body: Any) -> None:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section()})
    with builders.listening() as service, httpx.Client() as client:
        credential = auth.create_credential(builders.endpoint(service.url), environment)
        headers = {"OpenAI-Project": "ocid1.p", "opc-compartment-id": "ocid1.c"}
        response = client.request(method, service.url + path, headers=headers, auth=credential, **body)
    assert response.status_code == 200
    assert (
        builders.verify(service.seen[0], builders.rsa())
        == f"{builders.TENANCY}/{builders.USER}/{builders.fingerprint(builders.rsa())}"
    )


def test_the_verifier_sees_a_changed_body_path_or_date(tmp_path: Path) -> None:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section()})
    with (
        builders.listening() as service,
        httpx.Client(auth=auth.create_credential(builders.endpoint(service.url), environment)) as client,
    ):
        client.post(service.url + "/files", json={"name": "x"})
    seen = service.seen[0]
    for forged in (
        replace(seen, body=seen.body + b" "),
        replace(seen, target=seen.target + "?x"),
        replace(seen, headers={**seen.headers, "date": "Thu, 01 Jan 1970 00:00:00 GMT"}),
    ):
        with pytest.raises((AssertionError, InvalidSignature)):
            builders.verify(forged, builders.rsa())


def test_a_session_signs_with_its_token_and_reads_a_renewed_one_after_a_refusal(tmp_path: Path) -> None:
    old, new = builders.token("old"), builders.token("new")
    profiles = {"S": {"key_file": "~/.oci/session.pem", "security_token_file": "~/.oci/token"}}
    environment = builders.write_home(
        tmp_path, profiles, {"session.pem": builders.pem(builders.rsa(1)), "token": old + "\n"}
    )
    with builders.listening() as service:
        credential = auth.create_credential(
            builders.endpoint(service.url, AuthKind.SECURITY_TOKEN, profile="S"), environment
        )
        (tmp_path / ".oci/token").write_text(new)
        (tmp_path / ".oci/session.pem").write_bytes(builders.pem(builders.rsa(2)))
        service.statuses = [401]
        with httpx.Client(auth=credential) as client:
            assert client.post(service.url + "/files", files={"file": ("a.md", b"text")}).status_code == 200
    first, second = service.seen
    assert builders.verify(first, builders.rsa(1)) == f"ST${old}"
    assert builders.verify(second, builders.rsa(2)) == f"ST${new}"
    assert first.body == second.body


def test_a_session_that_expired_meanwhile_says_so(tmp_path: Path) -> None:
    profiles = {"S": {"key_file": "~/.oci/key.pem", "security_token_file": "~/.oci/token"}}
    environment = builders.write_home(tmp_path, profiles, {"token": builders.token()})
    with builders.listening() as service:
        credential = auth.create_credential(
            builders.endpoint(service.url, AuthKind.SECURITY_TOKEN, profile="S"), environment
        )
        (tmp_path / ".oci/token").write_text(builders.token(expires=builders.PAST))
        service.statuses = [401]
        with (
            httpx.Client(auth=credential) as client,
            pytest.raises(CredentialError, match="oci session refresh --profile S"),
        ):
            client.get(service.url)
    assert len(service.seen) == 1


def test_a_resource_principal_reads_its_token_again_after_a_refusal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, key = tmp_path / "rpst", tmp_path / "private.pem"
    place.write_text(builders.token("old"))
    key.write_bytes(builders.pem(builders.rsa(1)))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_RPST", str(place))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", str(key))
    monkeypatch.setenv("OCI_RESOURCE_PRINCIPAL_REGION", "us-chicago-1")
    with builders.listening() as service:
        credential = auth.create_credential(builders.endpoint(service.url, AuthKind.RESOURCE_PRINCIPAL), {})
        place.write_text(builders.token("new"))
        service.statuses = [401]
        with httpx.Client(auth=credential) as client:
            assert client.get(service.url).status_code == 200
    assert [builders.verify(seen, builders.rsa(1)) for seen in service.seen] == [
        f"ST${builders.token('old')}",
        f"ST${builders.token('new')}",
    ]


class Federation:
    """Stands for an instance's federation client: a new token each time one is asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.session_key_supplier = self

    def get_security_token(self) -> str:
        self.asked += 1
        return f"token{self.asked}"

    refresh_security_token = get_security_token

    def get_key_pair(self) -> dict[str, Any]:
        return {"private": builders.rsa(1)}


def test_a_federated_signer_is_called_so_that_it_renews_an_old_token_by_itself() -> None:
    from oci.auth.signers import X509FederationClientBasedSecurityTokenSigner

    from vssync.auth.signed import SigningCredential

    with builders.listening() as service:
        signer = X509FederationClientBasedSecurityTokenSigner(Federation())  # asks for its first token
        with httpx.Client(auth=SigningCredential(builders.endpoint(service.url), "instance", signer)) as client:
            for _ in range(2):
                client.get(service.url)
    assert [builders.verify(seen, builders.rsa(1)) for seen in service.seen] == ["ST$token2", "ST$token3"]
