"""Where requests go and as whom. Which hosts may receive a credential is in `tests/auth/test_hosts.py`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vssync.api.errors import way_out
from vssync.endpoints import Caller, Endpoint, EndpointError, resolve_endpoint
from vssync.errors import Answer, UsageProblem, VssyncError
from vssync.model.service import ServiceSpec
from vssync.providers import OCI, PROVIDERS, AuthKind

PROJECT = "ocid1.generativeaiproject.oc1..p"
COMPARTMENT = "ocid1.compartment.oc1..c"
IAM = [kind for kind in AuthKind if kind.signs]


def oci(**fields: Any) -> ServiceSpec:
    known = {"region": "us-chicago-1", "project": PROJECT, "compartment": COMPARTMENT}
    return ServiceSpec("oci", **(known | fields))


def found(spec: ServiceSpec, environment: Mapping[str, str] | None = None, **who: Any) -> Endpoint:
    return resolve_endpoint(spec, Caller(**who), environment or {})


# -- which addresses a provider has


def test_a_local_service_is_in_this_process_whatever_else_is_said() -> None:
    endpoint = found(ServiceSpec(), {"VSSYNC_API_KEY": "k", "VSSYNC_AUTH": "bearer"}, auth="signing_key")
    assert endpoint.embedded
    assert (endpoint.auth, endpoint.data_url, endpoint.control_url) == (
        AuthKind.NONE,
        "http://local/v1",
        "http://local/v1",
    )


def test_a_local_service_with_an_address_is_not_in_this_process() -> None:
    endpoint = found(ServiceSpec("local", data_url="http://127.0.0.1:8080/v1/"))
    assert not endpoint.embedded
    assert (endpoint.auth, endpoint.data_url) == (AuthKind.NONE, "http://127.0.0.1:8080/v1")


@pytest.mark.parametrize("kind", IAM)
def test_oci_splits_its_addresses_by_host_for_iam(kind: AuthKind) -> None:
    endpoint = found(oci(auth=kind))
    assert endpoint.data_url == "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1"
    assert endpoint.control_url == "https://generativeai.us-chicago-1.oci.oraclecloud.com/20231130/openai/v1"
    assert endpoint.data_headers == {"OpenAI-Project": PROJECT, "opc-compartment-id": COMPARTMENT}
    assert endpoint.control_headers == {"opc-compartment-id": COMPARTMENT}


def test_oci_serves_a_bearer_key_from_one_host() -> None:
    endpoint = found(oci(auth="bearer", compartment=""))
    assert endpoint.data_url == "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1"
    assert endpoint.control_url == "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/20231130/openai/v1"
    assert endpoint.data_headers == endpoint.control_headers == {"OpenAI-Project": PROJECT}


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("eu-frankfurt-1", "oraclecloud.com"),
        ("us-gov-ashburn-1", "oraclegovcloud.com"),
        ("uk-gov-london-1", "oraclegovcloud.uk"),
        ("eu-frankfurt-2", "oraclecloud.eu"),
        ("ap-dcc-canberra-1", "oraclecloud10.com"),
        ("xx-brandnew-7", "oraclecloud.com"),
    ],
)
def test_a_region_finds_its_realm(region: str, domain: str) -> None:
    assert f"generativeai.{region}.oci.{domain}/" in found(oci(region=region)).control_url


@pytest.mark.oci
def test_realms_agree_with_the_oci_package() -> None:
    from oci import regions_definitions as regions

    assert OCI.regions
    ours = {region: domain for domain, names in OCI.regions.realms.items() for region in names.split()}
    theirs = {
        region: regions.REALMS[regions.REGION_REALMS[region]] for region in ours if region in regions.REGION_REALMS
    }
    assert theirs
    assert theirs == {region: ours[region] for region in theirs}


@pytest.mark.parametrize(
    ("fields", "data", "control", "region"),
    [
        # An address of OCI's own leaves the other one to its region.
        (
            {"data_url": "https://inference.generativeai.ap-osaka-1.oci.oraclecloud.com/openai/v1", "region": ""},
            "https://inference.generativeai.ap-osaka-1.oci.oraclecloud.com/openai/v1",
            "https://generativeai.ap-osaka-1.oci.oraclecloud.com/20231130/openai/v1",
            "ap-osaka-1",
        ),
        # A gateway serves both.
        ({"data_url": "http://127.0.0.1:1/v1"}, "http://127.0.0.1:1/v1", "http://127.0.0.1:1/v1", "us-chicago-1"),
        (
            {"data_url": "http://127.0.0.1:1/d", "control_url": "http://127.0.0.1:1/c", "region": ""},
            "http://127.0.0.1:1/d",
            "http://127.0.0.1:1/c",
            "",
        ),
        (
            {"control_url": "http://localhost:1/c"},
            "https://inference.generativeai.us-chicago-1.oci.oraclecloud.com/openai/v1",
            "http://localhost:1/c",
            "us-chicago-1",
        ),
    ],
)
def test_addresses_written_out_win(fields: dict[str, str], data: str, control: str, region: str) -> None:
    endpoint = found(oci(**fields))
    assert (endpoint.data_url, endpoint.control_url, endpoint.region) == (data, control, region)


PARTNER = {"xx-partner-1": "partnercloud.example", "odd-1": "partnercloud.example", "eu-frankfurt-2": "evil.example"}


@pytest.mark.parametrize(
    ("region", "domain"),
    [
        ("xx-partner-1", "partnercloud.example"),
        ("odd-1", "partnercloud.example"),
        ("us-chicago-1", "oraclecloud.com"),
        ("eu-frankfurt-2", "oraclecloud.eu"),  # a region of the table stays where it is
    ],
)
@pytest.mark.parametrize("kind", ["bearer", "signing_key"])
def test_regions_of_partners_extend_the_table(region: str, domain: str, kind: str) -> None:
    endpoint = found(oci(region=region, auth=kind), {"VSSYNC_API_KEY": "k"}, realms=PARTNER)
    assert f"generativeai.{region}.oci.{domain}/" in endpoint.control_url
    by_url = found(oci(data_url=endpoint.data_url, region="", auth=kind), realms=PARTNER)
    assert (by_url.control_url, by_url.region) == (endpoint.control_url, region)


@pytest.mark.parametrize(
    "url",
    [
        "https://inference.generativeai.xx-partner-1.oci.partnercloud.example.evil.com/v1",
        "https://xx-partner-1.oci.partnercloud.example/v1",
        "https://inference.generativeai.xx-partner-1.oci.partnercloud.example:8443/v1",
    ],
)
def test_only_the_service_of_a_partner_gets_a_credential(url: str) -> None:
    with pytest.raises(EndpointError, match="not a host of provider oci"):
        found(oci(data_url=url, auth="bearer"), realms=PARTNER)


@pytest.mark.parametrize(
    ("auth", "control_auth", "control_host", "kinds"),
    [
        ("bearer", "signing_key", "generativeai", (AuthKind.BEARER, AuthKind.SIGNING_KEY)),
        ("signing_key", "bearer", "inference.generativeai", (AuthKind.SIGNING_KEY, AuthKind.BEARER)),
        ("bearer", "bearer", "inference.generativeai", (AuthKind.BEARER, AuthKind.BEARER)),
        ("bearer", "", "inference.generativeai", (AuthKind.BEARER, AuthKind.BEARER)),
        ("", "signing_key", "generativeai", (AuthKind.BEARER, AuthKind.SIGNING_KEY)),  # the profile is for stores
    ],
)
def test_stores_may_take_another_kind_of_credential(
    auth: str, control_auth: str, control_host: str, kinds: tuple[AuthKind, AuthKind]
) -> None:
    endpoint = found(oci(auth=auth, control_auth=control_auth, profile="P"), {"VSSYNC_API_KEY": "k"})
    assert endpoint.auth_kinds == kinds
    assert endpoint.control_url.startswith(f"https://{control_host}.us-chicago-1.")
    assert endpoint.profile == ("P" if any(kind.signs for kind in kinds) else "")
    assert (endpoint.control_auth is None) == (kinds[0] is kinds[1])


@pytest.mark.parametrize(
    ("flag", "environment", "written", "expected"),
    [
        ("signing_key", {"VSSYNC_CONTROL_AUTH": "bearer"}, "bearer", AuthKind.SIGNING_KEY),
        ("", {"VSSYNC_CONTROL_AUTH": "security_token"}, "signing_key", AuthKind.SECURITY_TOKEN),
        ("", {"OCI_CLI_AUTH": "instance_principal"}, "signing_key", AuthKind.SIGNING_KEY),
    ],
)
def test_the_kind_for_stores_comes_from_the_flag_then_the_environment_then_the_manifest(
    flag: str, environment: dict[str, str], written: str, expected: AuthKind
) -> None:
    assert found(oci(control_auth=written), environment, control_auth=flag).auth_kinds[1] is expected


@pytest.mark.parametrize(
    ("spec", "kind", "answer", "words"),
    [
        (oci(), AuthKind.BEARER, Answer("GET", "/files", 401), "create the policy first, then a new key"),
        (oci(), AuthKind.SIGNING_KEY, Answer("GET", "/files", 401), "public key of this profile"),
        (oci(project="ocid1.p.oc1.ap-osaka-1.x"), AuthKind.BEARER, Answer("GET", "/files", 401), "region ap-osaka-1"),
        (oci(project="ocid1.p.oc1.us-chicago-1.x"), AuthKind.BEARER, Answer("GET", "/files", 400), ""),
        *(
            (ServiceSpec("compatible", data_url=f"http://localhost:1{path}"), kind, Answer("GET", request, 404), words)
            for path, kind, request, words in (
                ("", AuthKind.BEARER, "/vector_stores", "write `data_url: http://localhost:1/v1`"),
                ("/api", AuthKind.NONE, "/api/files", "write `data_url: http://localhost:1/api/v1`"),
                ("/api", AuthKind.NONE, "/api/files/file-1", ""),  # it may be that one is not there
                ("/openai/v1", AuthKind.NONE, "/openai/v1/files", ""),
            )
        ),
        (
            ServiceSpec("local", data_url="http://localhost:1/v1"),
            AuthKind.NONE,
            Answer("GET", "/v1", 401),
            "no key was",
        ),
    ],
)
def test_what_a_refusal_means_here(spec: ServiceSpec, kind: AuthKind, answer: Answer, words: str) -> None:
    hint = way_out(found(spec).hints_for(kind), answer)
    assert words in hint
    assert bool(words) == bool(hint)


def test_the_compartment_is_needed_where_either_is_signed() -> None:
    with pytest.raises(EndpointError, match=r"service\.compartment: missing"):
        found(oci(auth="bearer", control_auth="signing_key", compartment=""))


def test_openai_needs_nothing_but_a_key() -> None:
    endpoint = found(ServiceSpec("openai", project="proj_1"))
    assert endpoint.data_url == endpoint.control_url == "https://api.openai.com/v1"
    assert endpoint.data_headers == endpoint.control_headers == {"OpenAI-Project": "proj_1"}
    assert endpoint.auth is AuthKind.BEARER


# -- who runs it


@pytest.mark.parametrize(
    ("flag", "environment", "written", "expected"),
    [
        ("signing_key", {"VSSYNC_AUTH": "bearer"}, "bearer", AuthKind.SIGNING_KEY),
        (
            "",
            {"VSSYNC_AUTH": "security_token", "OCI_CLI_AUTH": "resource_principal"},
            "bearer",
            AuthKind.SECURITY_TOKEN,
        ),
        ("", {"OCI_CLI_AUTH": "instance_principal"}, "bearer", AuthKind.INSTANCE_PRINCIPAL),
        ("", {"VSSYNC_AUTH": ""}, "oke_workload_identity", AuthKind.OKE_WORKLOAD_IDENTITY),
        ("", {}, "", AuthKind.SIGNING_KEY),
        ("", {"OCI_GENAI_API_KEY": "k"}, "", AuthKind.BEARER),
        ("", {"OCI_GENAI_API_KEY": " "}, "", AuthKind.SIGNING_KEY),
        ("", {"OPENAI_API_KEY": "k"}, "", AuthKind.SIGNING_KEY),  # another service's key
    ],
)
def test_auth_comes_from_the_flag_then_the_environment_then_the_manifest(
    flag: str, environment: dict[str, str], written: str, expected: AuthKind
) -> None:
    assert found(oci(auth=written), environment, auth=flag).auth is expected


def test_a_profile_asked_for_goes_before_a_key_that_happens_to_be_set() -> None:
    endpoint = found(oci(), {"OCI_GENAI_API_KEY": "k"}, profile="PROD")
    assert (endpoint.auth, endpoint.profile) == (AuthKind.SIGNING_KEY, "PROD")


@pytest.mark.parametrize(
    ("provider", "environment", "expected"),
    [
        ("compatible", {}, AuthKind.NONE),
        ("compatible", {"VSSYNC_API_KEY": "k"}, AuthKind.BEARER),
        ("compatible", {"OPENAI_API_KEY": "k"}, AuthKind.NONE),
        ("compatible", {"OCI_CLI_AUTH": "instance_principal"}, AuthKind.NONE),  # says nothing about this service
        ("local", {"VSSYNC_API_KEY": "k"}, AuthKind.BEARER),
    ],
)
def test_a_key_is_used_where_one_is_set_for_the_service(
    provider: str, environment: dict[str, str], expected: AuthKind
) -> None:
    assert found(ServiceSpec(provider, data_url="http://localhost:1/v1"), environment).auth is expected


@pytest.mark.parametrize("name", ["profile", "region"])
def test_profile_and_region_come_from_the_flag_then_the_environment_then_the_manifest(name: str) -> None:
    variable = {"profile": "OCI_CLI_PROFILE", "region": "OCI_REGION"}[name]
    spec = oci(**{name: "us-written-1"})
    assert getattr(found(spec), name) == "us-written-1"
    assert getattr(found(spec, {variable: "us-variable-1"}), name) == "us-variable-1"
    assert getattr(found(spec, {variable: "us-variable-1"}, **{name: "us-flag-1"}), name) == "us-flag-1"


@pytest.mark.parametrize(
    ("spec", "environment", "who", "kind", "words"),
    [
        (ServiceSpec("bedrock"), {}, {}, EndpointError, "service.provider: 'bedrock' is unknown"),
        (ServiceSpec("compatible"), {}, {}, EndpointError, "service.data_url: missing"),
        (oci(region=""), {}, {}, EndpointError, "service.region: missing"),
        (oci(project=""), {}, {}, EndpointError, "service.project: missing"),
        (oci(compartment=""), {}, {}, EndpointError, "service.compartment: missing"),
        (oci(project="ocid1\r\nauthorization: x"), {}, {}, EndpointError, "service.project: 'ocid1"),
        (oci(), {}, {"region": "ord"}, UsageProblem, "--region: 'ord' is not the name of a region"),
        (oci(), {"OCI_REGION": "us-chicago-1\n"}, {}, UsageProblem, "OCI_REGION: 'us-chicago-1"),
        (oci(auth="api_key"), {}, {}, EndpointError, "service.auth: `api_key` means two things"),
        (oci(), {"OCI_CLI_AUTH": "api_key"}, {}, UsageProblem, "OCI_CLI_AUTH: `api_key` means two things"),
        (
            oci(),
            {},
            {"auth": "instance_obo_user"},
            UsageProblem,
            "--auth: provider oci does not take 'instance_obo_user'",
        ),
        (oci(auth="none"), {}, {}, EndpointError, "service.auth: provider oci does not take 'none'"),
        (oci(control_auth="x"), {}, {}, EndpointError, "service.control_auth: provider oci does not take 'x'"),
        (oci(), {}, {"control_auth": "api_key"}, UsageProblem, "--control-auth: `api_key` means two things"),
        (oci(), {"VSSYNC_CONTROL_AUTH": "x"}, {}, UsageProblem, "VSSYNC_CONTROL_AUTH: provider oci does not"),
        *(
            (ServiceSpec("compatible", data_url=url), {}, {}, EndpointError, "service.data_url: an `api-version`")
            for url in ("https://x.example/openai?api-version=2024-10-21", "https://x.example/?a=1&api-version=preview")
        ),
        (
            ServiceSpec("openai"),
            {},
            {"auth": "signing_key"},
            UsageProblem,
            "--auth: provider openai does not take 'signing_key'",
        ),
        (
            ServiceSpec("openai"),
            {},
            {"allow_hosts": ("https://gw/v1",)},
            UsageProblem,
            "--allow-host: takes hosts only",
        ),
        (ServiceSpec("openai"), {"VSSYNC_ALLOW_HOSTS": "*"}, {}, UsageProblem, "VSSYNC_ALLOW_HOSTS: takes hosts"),
        (
            oci(data_url="https://inference.generativeai.ap-osaka-1.oci.oraclecloud.com/openai/v1"),
            {},
            {"region": "us-chicago-1"},
            UsageProblem,
            "--region: the manifest's service.data_url is in ap-osaka-1",
        ),
    ],
)
def test_what_makes_no_sense_names_its_place(
    spec: ServiceSpec, environment: dict[str, str], who: dict[str, Any], kind: type[VssyncError], words: str
) -> None:
    with pytest.raises(VssyncError) as caught:
        found(spec, environment, **who)
    assert type(caught.value) is kind
    assert str(caught.value).startswith(words)
    assert str(caught.value).isprintable()


LAMP = "https://lamp.openai.azure.com/openai/v1"
DEPLOYMENT, VERSION = "is the address of a deployed model", "has an `api-version`"
ENDING = "base URLs of provider azure end in /openai/v1"


@pytest.mark.parametrize(
    ("url", "problem", "meant"),
    [
        ("lamp", ENDING, LAMP),
        ("lamp.openai.azure.com", ENDING, LAMP),
        ("https://lamp.openai.azure.com", ENDING, LAMP),
        ("https://lamp.openai.azure.com/", ENDING, LAMP),
        ("http://LAMP.openai.azure.com/openai", ENDING, LAMP),
        ("https://lamp.openai.azure.com/v1", ENDING, LAMP),
        ("https://lamp.openai.azure.com/openai/v1/vector_stores", ENDING, LAMP),
        ("https://lamp.openai.azure.com/openai/v1/?api-version=preview", VERSION, LAMP),
        ("https://lamp.openai.azure.com/openai?api-version=2024-10-21", VERSION, LAMP),
        ("https://lamp.openai.azure.com/openai/deployments/gpt-4o", DEPLOYMENT, LAMP),
        ("https://lamp.openai.azure.com/openai/deployments/m/chat/completions?api-version=1", DEPLOYMENT, LAMP),
        ("https://lamp.services.ai.azure.com/models", ENDING, "https://lamp.services.ai.azure.com/openai/v1"),
        (
            "https://lamp.services.ai.azure.com/api/projects/shop",
            ENDING,
            "https://lamp.services.ai.azure.com/api/projects/shop/openai/v1",
        ),
    ],
)
@pytest.mark.parametrize("field", ["data_url", "control_url"])
def test_another_address_of_azure_names_the_right_one(field: str, url: str, problem: str, meant: str) -> None:
    fields: dict[str, Any] = {"data_url": LAMP, field: url}
    with pytest.raises(EndpointError) as caught:
        found(ServiceSpec("azure", **fields))
    message = str(caught.value)
    assert message.startswith(f"service.{field}: {problem}")
    assert message.endswith(f"; write {meant}")
    assert getattr(found(ServiceSpec("azure", **(fields | {field: meant}))), field) == meant


@pytest.mark.parametrize(
    ("provider", "url", "words"),
    [
        (
            "azure",
            "",
            "service.data_url: missing; provider azure needs one, such as https://RESOURCE.openai.azure.com/",
        ),
        ("azure", "https://lamp", "not a host of provider azure, such as https://RESOURCE.openai.azure.com/openai/v1,"),
        ("azure", "https://u:p@lamp.openai.azure.com/v1", "not an address vssync takes"),
        ("azure", "https://api.openai.com/v1", "say `provider: openai`"),
        ("azure", "https://lamp.azure-api.net/openai/v1", "if you trust it, say --allow-host lamp.azure-api.net"),
        ("openai", LAMP, "say `provider: azure`"),
        (
            "openai",
            "https://api.openai.com",
            "base URLs of provider openai end in /v1; write https://api.openai.com/v1",
        ),
        ("compatible", LAMP, "say `provider: azure`"),
    ],
)
def test_a_wrong_address_has_a_way_out(provider: str, url: str, words: str) -> None:
    with pytest.raises(EndpointError) as caught:
        found(ServiceSpec(provider, data_url=url))
    assert words in str(caught.value)


def test_a_gateway_before_azure_may_have_any_path() -> None:
    spec = ServiceSpec("azure", data_url="https://gw.example.com/llm", auth="api_key")
    endpoint = found(spec, {"AZURE_OPENAI_API_KEY": "k"}, allow_hosts=("gw.example.com",))
    assert (endpoint.data_url, endpoint.auth) == ("https://gw.example.com/llm", AuthKind.API_KEY)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_every_provider_takes_the_general_key_first(provider: str) -> None:
    assert PROVIDERS[provider].key_variables[0] == "VSSYNC_API_KEY"
