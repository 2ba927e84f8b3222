"""Bearer keys: where they come from, where they go, and that nobody sees them."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

from vssync import auth
from vssync.auth.credential import CredentialError
from vssync.endpoints import Endpoint
from vssync.errors import VssyncError
from vssync.providers import PROVIDERS, AuthKind

HERE = "https://api.openai.com/v1"
SECRET = "sk-very-secret"


def endpoint(provider: str = "openai", kind: AuthKind = AuthKind.BEARER, control: str = HERE) -> Endpoint:
    return Endpoint(PROVIDERS[provider], HERE, control, {}, {}, kind)


def sent(credential: httpx.Auth | None, url: str = HERE + "/files") -> httpx.Headers:
    """What a service receives."""
    assert credential
    return next(credential.auth_flow(httpx.Request("GET", url))).headers


@pytest.mark.parametrize(
    ("provider", "environment", "key"),
    [
        ("openai", {"OPENAI_API_KEY": "a"}, "a"),
        ("openai", {"OPENAI_API_KEY": "a", "VSSYNC_API_KEY": "b"}, "b"),
        ("openai", {"OPENAI_API_KEY": "a", "VSSYNC_API_KEY": " "}, "a"),
        ("openai", {"OPENAI_API_KEY": "a\r\n"}, "a"),
        ("oci", {"OCI_GENAI_API_KEY": "a"}, "a"),
        ("azure", {"AZURE_OPENAI_API_KEY": "a"}, "a"),
        ("azure", {"AZURE_OPENAI_API_KEY": "a", "VSSYNC_API_KEY": "b"}, "b"),
        ("compatible", {"VSSYNC_API_KEY": "a"}, "a"),
        ("local", {"VSSYNC_API_KEY": "a"}, "a"),
    ],
)
def test_the_key_is_sent_along(provider: str, environment: dict[str, str], key: str) -> None:
    assert sent(auth.create_credential(endpoint(provider), environment))["authorization"] == f"Bearer {key}"


def test_a_key_goes_into_the_header_that_was_asked_for() -> None:
    credential = auth.create_credential(endpoint("azure", AuthKind.API_KEY), {"AZURE_OPENAI_API_KEY": SECRET})
    headers = sent(credential)
    assert (headers["api-key"], "authorization" in headers) == (SECRET, False)
    assert SECRET not in repr(credential)
    assert "API key from AZURE_OPENAI_API_KEY" in repr(credential)


@pytest.mark.parametrize(
    ("provider", "environment", "names"),
    [
        ("openai", {}, "VSSYNC_API_KEY or OPENAI_API_KEY"),
        ("openai", {"OCI_GENAI_API_KEY": SECRET}, "VSSYNC_API_KEY or OPENAI_API_KEY"),
        ("oci", {"OPENAI_API_KEY": SECRET}, "VSSYNC_API_KEY or OCI_GENAI_API_KEY"),
        ("azure", {"OPENAI_API_KEY": SECRET}, "VSSYNC_API_KEY or AZURE_OPENAI_API_KEY"),
        ("compatible", {"OPENAI_API_KEY": SECRET}, "VSSYNC_API_KEY"),
        ("openai", {"OPENAI_API_KEY": f"{SECRET} {SECRET}"}, "OPENAI_API_KEY: holds a character"),
        ("openai", {"OPENAI_API_KEY": f"\u201c{SECRET}\u201d"}, "OPENAI_API_KEY: holds a character"),
        ("openai", {"OPENAI_API_KEY": f"{SECRET}\r\nx: y"}, "OPENAI_API_KEY: holds a character"),
    ],
)
def test_a_missing_or_broken_key_names_its_variables(provider: str, environment: dict[str, str], names: str) -> None:
    with pytest.raises(VssyncError) as caught:
        auth.create_credential(endpoint(provider), environment)
    assert names in str(caught.value)
    assert SECRET not in str(caught.value)
    assert caught.value.exit_code == 1


def test_no_credential_where_none_is_wanted() -> None:
    assert auth.create_credential(endpoint("compatible", AuthKind.NONE), {"VSSYNC_API_KEY": SECRET}) is None


def test_nothing_shows_the_key() -> None:
    credential = auth.create_credential(endpoint(), {"OPENAI_API_KEY": SECRET})
    request = httpx.Request("GET", HERE, headers=sent(credential))
    client = httpx.Client(auth=credential)
    shown = [repr(credential), str(credential), f"{credential}", repr(request), repr(request.headers), repr(client)]
    client.close()
    assert "key from OPENAI_API_KEY" in repr(credential)
    assert not [text for text in shown if SECRET in text]


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.com/v1/files",
        "http://api.openai.com/v1/files",
        "https://api.openai.com:8443/v1/files",
        "https://api.openai.com.evil.com/v1",
        "https://xn--pi-6kc.openai.com/v1",
    ],
)
def test_a_request_to_another_address_is_not_sent_at_all(url: str) -> None:
    with pytest.raises(CredentialError, match="not an address of this service"):
        sent(auth.create_credential(endpoint(), {"OPENAI_API_KEY": SECRET}), url)


def test_both_addresses_of_a_service_get_the_key() -> None:
    credential = auth.create_credential(endpoint(control="https://other.example.com/v1"), {"OPENAI_API_KEY": SECRET})
    assert "authorization" in sent(credential, "https://other.example.com/v1/vector_stores")


def test_one_of_two_credentials_goes_to_its_own_address_only() -> None:
    stores = "https://stores.example.com/v1"
    split = replace(endpoint("compatible", control=stores), control_auth=AuthKind.NONE)
    data, control = auth.create_credentials(split, {"VSSYNC_API_KEY": SECRET})
    assert (sent(data)["authorization"], control) == (f"Bearer {SECRET}", None)
    with pytest.raises(CredentialError, match="not an address of this service"):
        sent(data, f"{stores}/vector_stores")
    data, control = auth.create_credentials(
        replace(split, auth=AuthKind.NONE, control_auth=AuthKind.BEARER), {"VSSYNC_API_KEY": SECRET}
    )
    assert (data, sent(control, f"{stores}/vector_stores")["authorization"]) == (None, f"Bearer {SECRET}")
    with pytest.raises(CredentialError, match="not an address of this service"):
        sent(control)


def test_both_addresses_share_one_credential_where_its_kind_is_the_same() -> None:
    data, control = auth.create_credentials(endpoint(), {"OPENAI_API_KEY": SECRET})
    assert data is control is not None


def test_a_redirect_carries_no_key_to_another_host() -> None:
    received = []

    def service(request: httpx.Request) -> httpx.Response:
        received.append(request)
        return (
            httpx.Response(307, headers={"location": "https://evil.com/"})
            if len(received) == 1
            else httpx.Response(200)
        )

    credential = auth.create_credential(endpoint(), {"OPENAI_API_KEY": SECRET})
    with httpx.Client(auth=credential, transport=httpx.MockTransport(service), follow_redirects=True) as client:
        client.get(HERE)
    assert [request.url.host for request in received] == ["api.openai.com", "evil.com"]
    assert [request.headers.get("authorization") for request in received] == [f"Bearer {SECRET}", None]
