"""The credential rule: which hosts may receive a credential, and which must not."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.endpoints import Caller, Endpoint, EndpointError, resolve_endpoint
from vssync.errors import VssyncError
from vssync.model.service import ServiceSpec
from vssync.providers import AuthKind


def found(spec: ServiceSpec, environment: Mapping[str, str] | None = None, **who: Any) -> Endpoint:
    return resolve_endpoint(spec, Caller(**who), environment or {})


OCI_HOST = "inference.generativeai.us-chicago-1.oci.oraclecloud.com"
HERE = (
    "localhost",
    "LOCALHOST",
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::FFFF:7f00:1]",
    "[::ffff:0.0.0.0]",
)
MAY = [
    ("oci", f"https://{OCI_HOST}/openai/v1"),
    ("oci", f"https://{OCI_HOST}:443/openai/v1"),
    ("oci", f"HTTPS://{OCI_HOST.upper()}/openai/v1"),
    ("oci", "https://generativeai.us-chicago-1.oci.oraclecloud.com/20231130/openai/v1"),
    ("oci", "https://inference.generativeai.us-gov-ashburn-1.oci.oraclegovcloud.com/openai/v1"),
    ("oci", "https://inference.generativeai.eu-frankfurt-2.oci.oraclecloud.eu/openai/v1"),
    ("oci", "https://inference.generativeai.me-dcc-muscat-1.oci.oraclecloud9.com/openai/v1"),
    ("openai", "https://api.openai.com/v1"),
    ("azure", "https://lamp.openai.azure.com/openai/v1"),
    ("azure", "https://LAMP-2.openai.azure.com:443/openai/v1/"),
    ("azure", "https://lamp.openai.azure.us/openai/v1"),
    ("azure", "https://lamp.services.ai.azure.com/openai/v1"),
    ("azure", "https://lamp.services.ai.azure.us/api/projects/shop/openai/v1"),
    ("compatible", "https://api.openai.com/v1"),
    ("compatible", f"https://{OCI_HOST}/openai/v1"),
    *(("compatible", f"http://{host}:8321/v1") for host in HERE),
]
MUST_NOT = [
    # another provider's host, another host of the provider
    ("oci", "https://api.openai.com/v1"),
    ("openai", f"https://{OCI_HOST}/openai/v1"),
    ("openai", "https://eu.api.openai.com/v1"),
    ("openai", "https://openai.com/v1"),
    ("openai", "https://lamp.openai.azure.com/openai/v1"),
    ("azure", "https://api.openai.com/v1"),
    ("azure", "https://lamp.azure-api.net/openai/v1"),  # whose owner sees what it receives
    ("azure", "https://lamp.azurewebsites.net/openai/v1"),
    ("azure", "https://lamp.cognitiveservices.azure.com/openai/v1"),
    ("azure", "https://openai.azure.com/openai/v1"),
    ("compatible", "https://lamp.openai.azure.com/openai/v1"),
    ("oci", "https://objectstorage.us-chicago-1.oraclecloud.com/v1"),
    ("oci", "https://inference.generativeai.us-chicago-1.oraclecloud.com/v1"),
    # look-alikes
    ("openai", "https://api.openai.com.evil.com/v1"),
    ("openai", "https://api-openai.com/v1"),
    ("openai", "https://apixopenai.com/v1"),
    ("openai", "https://evil.com/api.openai.com/v1"),
    ("openai", "https://api.openai.com./v1"),
    ("azure", "https://lamp.openai.azure.com.evil.com/openai/v1"),
    ("azure", "https://lamp.evil.openai.azure.com/openai/v1"),
    ("azure", "https://-lamp.openai.azure.com/openai/v1"),
    ("azure", "https://lampxopenai.azure.com/openai/v1"),
    ("azure", "https://lamp.openai.azurexcom/openai/v1"),
    ("azure", "https://lamp.openai.azure.company/openai/v1"),
    ("azure", "https://\u212aamp.openai.azure.com/openai/v1"),
    ("azure", "https://user:word@lamp.openai.azure.com/openai/v1"),
    ("azure", "http://lamp.openai.azure.com/openai/v1"),
    ("azure", "https://lamp.openai.azure.com:8443/openai/v1"),
    ("oci", f"https://{OCI_HOST}.evil.com/v1"),
    ("oci", f"https://x.{OCI_HOST}/v1"),
    ("oci", "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com.cn/v1"),
    ("oci", "https://inference.generativeai.us-chicago-1.oci.oraclecloud99.com/v1"),
    ("oci", "https://inference.generativeai.us-chicago-1.oci.oraclecloudxcom/v1"),
    ("oci", "https://inference.generativeai.evil.com.us-chicago-1.oci.oraclecloud.com/v1"),
    ("oci", "https://inference.generativeai.evil.oci.oraclecloud.com/v1"),
    ("oci", "https://inferencexgenerativeai.us-chicago-1.oci.oraclecloud.com/v1"),
    # user names, queries, fragments, escapes, backslashes, white space
    ("openai", "https://api.openai.com@evil.com/v1"),
    ("openai", "https://user:word@api.openai.com/v1"),
    ("openai", "https://evil.com\\@api.openai.com/v1"),
    ("openai", "https://evil.com#@api.openai.com/v1"),
    ("openai", "https://evil.com?@api.openai.com/v1"),
    ("openai", "https://api.openai.com/v1?to=evil.com"),
    ("openai", "https://api.openai.com%2eevil.com/v1"),
    ("openai", "https://api.openai.com/%2e%2e/v1"),
    ("openai", "https://api.openai.com/../v1"),
    ("openai", "https://api.openai.com/v1\n"),
    ("openai", " https://api.openai.com/v1"),
    ("openai", "https://evil.com\t.api.openai.com/v1"),
    ("openai", "https:///api.openai.com/v1"),
    ("openai", "//api.openai.com/v1"),
    ("openai", "api.openai.com/v1"),
    ("openai", "ftp://api.openai.com/v1"),
    ("openai", "https://api.openai.com:/v1"),
    # ports
    ("openai", "https://api.openai.com:8443/v1"),
    ("openai", "https://api.openai.com:99999/v1"),
    ("openai", "https://api.openai.com:80/v1"),
    # other alphabets: a Cyrillic letter, a long s and a Kelvin sign that ignoring case would fold, full-width dots
    ("openai", "https://\u0430pi.openai.com/v1"),
    ("oci", "https://inference.generativeai.u\u017f-chicago-1.oci.oraclecloud.com/v1"),
    ("oci", "https://inference.generativeai.u\u212a-london-1.oci.oraclecloud.com/v1"),
    ("openai", "https://api\uff0eopenai\uff0ecom/v1"),
    ("openai", "https://xn--pi-6kc.openai.com/v1"),
    # without TLS
    ("openai", "http://api.openai.com/v1"),
    ("oci", f"http://{OCI_HOST}/openai/v1"),
    ("openai", "http://api.openai.com:443/v1"),
    ("compatible", "http://gateway.example.com/v1"),
    # not this machine, though it looks like it
    ("compatible", "http://localhost.evil.com/v1"),
    ("compatible", "http://127.0.0.1.evil.com/v1"),
    ("compatible", "http://127.1/v1"),
    ("compatible", "http://127.0.0.01/v1"),
    ("compatible", "http://2130706433/v1"),
    ("compatible", "http://0x7f000001/v1"),
    ("compatible", "http://0x7f.1/v1"),
    ("compatible", "http://0x7f.0.0.1/v1"),
    ("compatible", "http://017700000001/v1"),
    ("compatible", "http://127.0.0.0x1/v1"),
    ("compatible", "http://%6cocalhost/v1"),
    ("compatible", "http://127%2e0.0.1/v1"),
    ("compatible", "http://user@localhost/v1"),
    ("compatible", "http://evil.com@127.0.0.1/v1"),
    ("compatible", "http://127.0.0.1@evil.com/v1"),
    ("compatible", "http://localhost./v1"),
    ("compatible", "http://127.0.0.1./v1"),
    ("compatible", "http://[::1%25lo]/v1"),
    ("compatible", "http://[::ffff:10.0.0.1]/v1"),
    ("compatible", "http://x.localhost/v1"),  # which a resolver may send anywhere
    ("compatible", "https://x.localhost/v1"),
    ("compatible", "http://192.168.0.1/v1"),
    ("compatible", "http://[::2]/v1"),
    ("compatible", "http://[:::1]/v1"),
    ("local", "https://api.openai.com/v1"),
    ("compatible", "https://gateway.example.com/v1"),
]


def pointing(provider: str, field: str, url: str) -> ServiceSpec:
    """A service whose one address is `url`, and whose other is beyond doubt."""
    sure = {
        "oci": f"https://{OCI_HOST}/openai/v1",
        "openai": "https://api.openai.com/v1",
        "azure": "https://lamp.openai.azure.com/openai/v1",
    }
    other = sure.get(provider, "https://localhost/v1")
    ids = {"region": "us-chicago-1", "project": "ocid1.p", "compartment": "ocid1.c"} if provider == "oci" else {}
    here = {"data_url": other, "control_url": other, field: url}
    fields: dict[str, Any] = ids | here
    return ServiceSpec(provider, **fields)


@pytest.mark.parametrize("field", ["data_url", "control_url"])
@pytest.mark.parametrize(("provider", "url"), MAY)
def test_these_may_receive_a_credential(provider: str, url: str, field: str) -> None:
    endpoint = found(pointing(provider, field, url), {"VSSYNC_API_KEY": "k"})
    assert httpx.URL(getattr(endpoint, field)).host == httpx.URL(url).host.lower()


@pytest.mark.parametrize("field", ["data_url", "control_url"])
@pytest.mark.parametrize(("provider", "url"), MUST_NOT)
def test_these_must_not_receive_a_credential(provider: str, url: str, field: str) -> None:
    with pytest.raises(EndpointError) as caught:
        found(pointing(provider, field, url), {"VSSYNC_API_KEY": "k"})
    assert str(caught.value).startswith(f"service.{field}")
    assert "word" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("auth", "control_auth", "field", "allowed"),
    [
        ("bearer", "signing_key", "control_url", True),
        ("bearer", "signing_key", "data_url", False),
        ("signing_key", "bearer", "control_url", False),
        ("signing_key", "bearer", "data_url", True),
    ],
)
def test_each_address_is_judged_by_its_own_kind_of_credential(
    auth: str, control_auth: str, field: str, allowed: bool
) -> None:
    spec = replace(pointing("oci", field, "http://127.0.0.1:9/v1"), auth=auth, control_auth=control_auth)
    if allowed:
        assert getattr(found(spec), field) == "http://127.0.0.1:9/v1"
    else:
        with pytest.raises(EndpointError, match=rf"^service.{field} .* bearer key"):
            found(spec)


@pytest.mark.parametrize("field", ["data_url", "control_url"])
@pytest.mark.parametrize("host", HERE)
@pytest.mark.parametrize("provider", ["oci", "openai", "azure"])
def test_a_bearer_key_of_a_hosted_service_goes_to_this_machine_only_where_it_was_allowed(
    provider: str, host: str, field: str
) -> None:
    """Documents and signatures may: a signature is good for one request."""
    spec, environment = pointing(provider, field, f"http://{host}:9/v1"), {"VSSYNC_API_KEY": "k"}
    named = re.escape(host.lower())
    with pytest.raises(EndpointError, match=rf"^service.{field} .* bearer key .* --allow-host {named} "):
        found(spec, environment, allow_hosts=("127.6.6.6",))
    for who in ({"allow_hosts": (host,)}, {"allow_hosts": (f"{host}:9",)}, {"allow_http": (host,)}):
        assert found(spec, environment, **who).auth is AuthKind.BEARER
    assert found(spec, environment | {"VSSYNC_ALLOW_HOSTS": host}).auth is AuthKind.BEARER
    if provider == "azure":
        with pytest.raises(EndpointError, match="bearer key"):
            found(spec, environment, auth="api_key")
    if provider == "oci":
        assert found(spec, environment, auth="signing_key").auth is AuthKind.SIGNING_KEY


@pytest.mark.parametrize(
    "region",
    [
        "us-chicago-1/x",
        "us-chicago-1.evil.com/",
        "../us-chicago-1",
        "us-chicago-1#",
        "x@us-a-1",
        "u\u017f-chicago-1",
        "US-CHICAGO-1",
    ],
)
@pytest.mark.parametrize("source", ["region", "OCI_REGION", "--region"])
def test_a_region_cannot_smuggle_a_host(region: str, source: str) -> None:
    with pytest.raises(VssyncError, match="is not the name of a region"):
        found(
            ServiceSpec("oci", region=region if source == "region" else "us-chicago-1"),
            {"OCI_REGION": region} if source == "OCI_REGION" else {},
            region=region if source == "--region" else "",
        )


GATEWAY = "https://gw.example.com:8443/v1"


@pytest.mark.parametrize(
    ("url", "environment", "who", "allowed"),
    [
        (GATEWAY, {}, {"allow_hosts": ("gw.example.com",)}, True),
        (GATEWAY, {}, {"allow_hosts": ("GW.example.com:8443",)}, True),
        (GATEWAY, {}, {"allow_hosts": ("gw.example.com:443",)}, False),
        (GATEWAY, {}, {"allow_hosts": ("example.com",)}, False),
        (GATEWAY, {}, {"allow_hosts": ("w.example.com", "xgw.example.com")}, False),
        (GATEWAY, {"VSSYNC_ALLOW_HOSTS": "other.example.com, gw.example.com"}, {}, True),
        (GATEWAY, {"VSSYNC_ALLOW_HOSTS": "other.example.com"}, {}, False),
        ("http://gw.example.com/v1", {}, {"allow_hosts": ("gw.example.com",)}, False),
        ("http://gw.example.com/v1", {"VSSYNC_ALLOW_HOSTS": "gw.example.com"}, {}, False),
        ("http://gw.example.com/v1", {}, {"allow_http": ("gw.example.com",)}, True),
        ("http://gw.example.com/v1", {}, {"allow_http": ("gw.example.com:80",)}, True),
        ("http://gw.example.com/v1", {}, {"allow_http": ("other.example.com",)}, False),
        ("http://[fd00::1]:8321/v1", {}, {"allow_http": ("[fd00::1]",)}, True),
    ],
)
def test_only_the_person_who_runs_it_can_allow_another_host(
    url: str, environment: dict[str, str], who: dict[str, Any], allowed: bool
) -> None:
    spec = ServiceSpec("compatible", data_url=url)
    if allowed:
        assert found(spec, environment, **who).data_url == url
    else:
        with pytest.raises(EndpointError, match=r"--allow-(host|http) "):
            found(spec, environment, **who)


@pytest.mark.parametrize("host", ["999.1.1.1", "127.0.0.01", "1.2.3", "[:::1]"])
def test_what_is_no_address_is_refused_though_it_was_allowed(host: str) -> None:
    with pytest.raises(EndpointError, match="not an address vssync takes"):
        found(ServiceSpec("compatible", data_url=f"https://{host}/v1"), allow_hosts=(host,))


PIECES = (
    "https://", "http://", "api.openai.com", "evil.com", "localhost", "127.0.0.1", "[::1]", "xn--", "@", ":", "443",
    "8443", "/", "\\", "#", "?", "%2e", "%40", ".", "..", "\t", "\n", " ", "v1", "\u0130", "\uff0f", "\u3002", "[", "]",
)  # fmt: skip


PLAIN = ("api.openai.com", "localhost", "127.0.0.1", "[::1]", ":443", ":80", "/", "/v1", "/a.b/~c", ".")


@given(
    st.lists(st.sampled_from(PIECES), max_size=9).map("".join)
    | st.lists(st.sampled_from(PLAIN), max_size=4).map("".join)
)
def test_what_is_accepted_every_reader_of_urls_takes_for_the_host_that_was_checked(rest: str) -> None:
    url = "https://" + rest
    try:
        endpoint = found(ServiceSpec("openai", data_url=url), allow_hosts=("localhost", "127.0.0.1", "[::1]"))
    except EndpointError:
        return
    hosts = {httpx.URL(url).host, httpx.URL(endpoint.data_url).host, urlsplit(url).hostname}
    assert hosts in ({"api.openai.com"}, {"localhost"}, {"127.0.0.1"}, {"::1"})
    assert httpx.URL(endpoint.data_url).host != "api.openai.com" or httpx.URL(url).port is None
