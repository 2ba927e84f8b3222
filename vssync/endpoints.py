"""Where a manifest's requests go, as whom, and whether they may: the rule that keeps credentials at home.

A manifest is text that anybody may propose, so it never decides alone who receives a key or a document: a host is
one of its provider's own, or this machine, or named by the person who runs vssync. This module must not read files
or the process environment, reach the network, or touch a secret: of a key it only asks whether there is one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from vssync.address import HOST, PORTS, Address, parse
from vssync.errors import UsageProblem, VssyncError
from vssync.model.state import ServiceSpec


class EndpointError(VssyncError):
    """The manifest's service cannot be used as written, or may not be."""


class AuthKind(StrEnum):
    """How requests prove who sends them."""

    NONE = "none"
    BEARER = "bearer"
    SIGNING_KEY = "signing_key"  # a profile of ~/.oci/config
    SECURITY_TOKEN = "security_token"  # a profile that holds a session
    INSTANCE_PRINCIPAL = "instance_principal"
    RESOURCE_PRINCIPAL = "resource_principal"
    OKE_WORKLOAD_IDENTITY = "oke_workload_identity"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs vssync and whom they trust, from flags; empty means not given.

    `allow_hosts` are hosts, with or without a port, that may receive credentials and documents; `allow_http` the
    same, even without TLS.
    """

    auth: str = ""
    profile: str = ""
    region: str = ""
    allow_hosts: tuple[str, ...] = ()
    allow_http: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service, resolved and allowed. URLs have no trailing slash; headers hold no secret.

    `control_url` serves the stores themselves, `data_url` everything else. An `embedded` service runs in this
    process. `profile` is empty for OCI's default one. `lists_batches` is what the manifest states of the service.
    """

    provider: str
    data_url: str
    control_url: str
    data_headers: Mapping[str, str]
    control_headers: Mapping[str, str]
    auth: AuthKind
    profile: str = ""
    region: str = ""
    embedded: bool = False
    lists_batches: bool = True


# Where a bearer key may come from, by provider; the first that is set.
KEY_VARIABLES: Mapping[str, tuple[str, ...]] = {
    "oci": ("VSSYNC_API_KEY", "OCI_GENAI_API_KEY"),
    "openai": ("VSSYNC_API_KEY", "OPENAI_API_KEY"),
    "compatible": ("VSSYNC_API_KEY",),
    "local": ("VSSYNC_API_KEY",),
}
_KINDS: Mapping[str, tuple[AuthKind, ...]] = {
    "oci": tuple(kind for kind in AuthKind if kind is not AuthKind.NONE),
    "openai": (AuthKind.BEARER,),
    "compatible": (AuthKind.NONE, AuthKind.BEARER),
    "local": (AuthKind.NONE, AuthKind.BEARER),
}
# Providers whose services people run themselves, on this machine, too. Of any other, a key belongs to its own hosts.
_SELF_HOSTED = frozenset({"compatible", "local"})
_OPENAI_URL = "https://api.openai.com/v1"
_EMBEDDED = Endpoint("local", "http://local/v1", "http://local/v1", {}, {}, AuthKind.NONE, embedded=True)

# OCI's realms beside the commercial one, by the domain of their hosts. A region not named here is commercial.
_COMMERCIAL = "oraclecloud.com"
REALMS: Mapping[str, str] = {
    "oraclegovcloud.com": "us-langley-1 us-luke-1 us-gov-ashburn-1 us-gov-chicago-1 us-gov-phoenix-1",
    "oraclegovcloud.uk": "uk-gov-london-1 uk-gov-cardiff-1",
    "oraclecloud.eu": "eu-madrid-2 eu-frankfurt-2",
    "oraclecloud8.com": "ap-chiyoda-1 ap-ibaraki-1",
    "oraclecloud9.com": "me-dcc-muscat-1 me-ibri-1",
    "oraclecloud10.com": "ap-dcc-canberra-1",
    "oraclecloud14.com": "eu-dcc-milan-1 eu-dcc-milan-2 eu-dcc-dublin-1 eu-dcc-dublin-2 eu-dcc-rating-1 "
    "eu-dcc-rating-2",
    "oraclecloud15.com": "ap-dcc-gazipur-1",
    "oraclecloud20.com": "eu-jovanovac-1",
    "oraclecloud21.com": "me-dcc-doha-1 me-alrayyan-1",
    "oraclecloud23.com": "us-somerset-1 us-thames-1",
    "oraclecloud24.com": "eu-dcc-zurich-1 eu-crissier-1",
    "oraclecloud26.com": "me-abudhabi-3 me-alain-1",
    "oraclecloud29.com": "me-abudhabi-2 me-abudhabi-4",
    "oraclecloud35.com": "ap-seoul-2 ap-suwon-1 ap-chuncheon-2",
    "oraclecloud42.com": "us-ashburn-2 us-newark-1",
    "oraclecloud51.com": "eu-budapest-1",
    "oraclecloud52.com": "sa-riodejaneiro-1",
}

# Classes are spelled out: ignoring case would let other alphabets' letters through, as the Kelvin sign for k.
_REGION = r"[a-z]{2}(?:-[a-z]{1,20}){1,3}-[0-9]{1,2}"
_DOMAIN = "|".join(re.escape(domain) for domain in (_COMMERCIAL, *REALMS))
_OCI_HOST = re.compile(rf"(?:inference\.)?generativeai\.({_REGION})\.oci\.({_DOMAIN})")
_OPENAI_HOST = re.compile(r"api\.openai\.com")
_KNOWN: Mapping[str, tuple[re.Pattern[str], ...]] = {
    "oci": (_OCI_HOST,),
    "openai": (_OPENAI_HOST,),
    "compatible": (_OCI_HOST, _OPENAI_HOST),
    "local": (),
}
_ALLOWED = re.compile(rf"(?:{HOST})(?::[0-9]{{1,5}})?")
_HEADER = re.compile(r"[\x21-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class _Sourced:
    """A value and where it came from, so that a complaint names the place to change."""

    value: str
    source: str

    def wrong(self, why: str) -> VssyncError:
        kind = EndpointError if self.source.startswith("service.") else UsageProblem
        return kind(f"{self.source}: {why}")


def resolve_endpoint(spec: ServiceSpec, who: Caller, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of a manifest's service, for the person who runs it.

    Raises EndpointError where the manifest is at fault or names a host nobody allowed, UsageProblem where a flag
    or a variable is.
    """
    if spec.provider not in _KINDS:
        raise EndpointError(f"service.provider: {spec.provider!a} is unknown; take one of {', '.join(_KINDS)}")
    if spec.provider == "local" and not spec.data_url:
        return replace(_EMBEDDED, lists_batches=spec.capabilities.get("list_batches", True))
    auth = _auth(spec, who, environment)
    data, control, region = _oci_urls(spec, who, environment, auth) if spec.provider == "oci" else _urls(spec)
    keyed = auth is AuthKind.BEARER
    _check_hosts(spec.provider, who, environment, {"data_url": data, "control_url": control}, keyed=keyed)
    data_headers, control_headers = _headers(spec, same_host=data.host == control.host, iam=not keyed)
    profile = _first(("--profile", who.profile), _variable(environment, "OCI_CLI_PROFILE"), ("", spec.profile))
    return Endpoint(
        provider=spec.provider,
        data_url=str(data),
        control_url=str(control),
        data_headers=data_headers,
        control_headers=control_headers,
        auth=auth,
        profile="" if auth in (AuthKind.NONE, AuthKind.BEARER) else profile.value,
        region=region,
        lists_batches=spec.capabilities.get("list_batches", True),
    )


def _first(*candidates: tuple[str, str]) -> _Sourced:
    """The first of these (source, value) that has a value, else the last, empty."""
    source, value = next((each for each in candidates if each[1]), candidates[-1])
    return _Sourced(value, source)


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    return name, environment.get(name, "")


def _auth(spec: ServiceSpec, who: Caller, environment: Mapping[str, str]) -> AuthKind:
    names = ("VSSYNC_AUTH", "OCI_CLI_AUTH") if spec.provider == "oci" else ("VSSYNC_AUTH",)
    variables = (_variable(environment, name) for name in names)
    given = _first(("--auth", who.auth), *variables, ("service.auth", spec.auth))
    if not given.value:
        return _usual_auth(spec, who, environment)
    if given.value == "api_key":
        raise given.wrong(
            "`api_key` means two things: for OCI's command line a key in ~/.oci/config that signs requests, for "
            "generative AI a secret that is sent along; say `signing_key` or `bearer` (--auth, VSSYNC_AUTH)"
        )
    kinds = _KINDS[spec.provider]
    if given.value not in kinds:
        raise given.wrong(f"{given.value!a} is nothing provider {spec.provider} takes; say one of {', '.join(kinds)}")
    return AuthKind(given.value)


def _usual_auth(spec: ServiceSpec, who: Caller, environment: Mapping[str, str]) -> AuthKind:
    """A key that is set is meant to be used, unless somebody asked for a profile."""
    keyed = any(environment.get(name, "").strip() for name in KEY_VARIABLES[spec.provider])
    if spec.provider == "oci":
        return AuthKind.BEARER if keyed and not (who.profile or spec.profile) else AuthKind.SIGNING_KEY
    return AuthKind.BEARER if keyed or spec.provider == "openai" else AuthKind.NONE


def _urls(spec: ServiceSpec) -> tuple[Address, Address, str]:
    """Both addresses of a service that is not OCI's; it has no region."""
    url = spec.data_url or (_OPENAI_URL if spec.provider == "openai" else "")
    if not url:
        raise EndpointError(f"service.data_url: missing; provider {spec.provider} needs one, as in https://host/v1")
    data = _address(url, "data_url")
    return data, _address(spec.control_url, "control_url") if spec.control_url else data, ""


def _oci_urls(
    spec: ServiceSpec, who: Caller, environment: Mapping[str, str], auth: AuthKind
) -> tuple[Address, Address, str]:
    """Both addresses and the region. What the manifest does not spell out follows from the region."""
    given = _first(("--region", who.region), _variable(environment, "OCI_REGION"), ("service.region", spec.region))
    data = _address(spec.data_url, "data_url") if spec.data_url else None
    control = _address(spec.control_url, "control_url") if spec.control_url else None
    match = _OCI_HOST.fullmatch(data.host) if data else None
    if data and not match:
        return data, control or data, _region(given)[0] if given.value else ""  # a gateway serves both
    if match:
        region, domain = match.groups()
        if who.region and who.region != region:
            raise UsageProblem(f"--region: the manifest's service.data_url is in {region}; leave out one of them")
    else:
        region, domain = _region(given)
    inference, management = (f"{prefix}generativeai.{region}.oci.{domain}" for prefix in ("inference.", ""))
    stores = inference if auth is AuthKind.BEARER else management  # the management host takes no bearer key
    return (
        data or Address("https", inference, 443, "/openai/v1"),
        control or Address("https", stores, 443, "/20231130/openai/v1"),
        region,
    )


def _region(given: _Sourced) -> tuple[str, str]:
    """A region and the domain of its realm."""
    if not given.value:
        raise given.wrong("missing; name the project's region, as in us-chicago-1 (or --region, OCI_REGION)")
    if not re.fullmatch(_REGION, given.value):
        raise given.wrong(f"{given.value!a} is not the name of a region; write it in full, as in us-chicago-1")
    domain = next((domain for domain, regions in REALMS.items() if given.value in regions.split()), _COMMERCIAL)
    return given.value, domain


def _address(url: str, field: str) -> Address:
    """The complaint does not repeat the URL: a password may stand in it."""
    if address := parse(url):
        return address
    raise EndpointError(
        f"service.{field}: not an address vssync takes; write https://host/path in plain ASCII, without user, query "
        "or fragment (a host in another alphabet in its xn-- form, an IP address in full)"
    )


def _check_hosts(
    provider: str, who: Caller, environment: Mapping[str, str], addresses: Mapping[str, Address], *, keyed: bool
) -> None:
    """The credential rule. Documents go where credentials go, so it holds for services without one, too."""
    listed = tuple(filter(None, re.split(r"[,\s]+", environment.get("VSSYNC_ALLOW_HOSTS", ""))))
    plain = _allowed_hosts(who.allow_http, "--allow-http")
    allowed = _allowed_hosts(who.allow_hosts, "--allow-host") | _allowed_hosts(listed, "VSSYNC_ALLOW_HOSTS") | plain
    for field, address in addresses.items():
        if address.stays_here:
            if keyed and provider not in _SELF_HOSTED and not address.named_in(allowed):
                raise _key_stays(provider, field, address)
            continue
        if address.scheme == "http" and not address.named_in(plain):
            raise EndpointError(
                f"service.{field} {address}: plain HTTP would show credentials and documents to the network; "
                f"use https, or allow it with --allow-http {address.host}"
            )
        if not (_is_allowed_host(provider, address) or address.named_in(allowed)):
            raise EndpointError(
                f"service.{field} {address}: not a host of provider {provider}, and a manifest alone may not send "
                f"credentials and documents there; if you trust it, say --allow-host {address.host} "
                "(or VSSYNC_ALLOW_HOSTS)"
            )


def _key_stays(provider: str, field: str, address: Address) -> EndpointError:
    """Any program of this machine may listen there. A signature is good for one request, a bearer key for all."""
    return EndpointError(
        f"service.{field} {address}: this machine is not a host of provider {provider}, and a manifest alone may not "
        f"send a bearer key there; if you trust what listens there, say --allow-host {address.host} "
        "(or VSSYNC_ALLOW_HOSTS)"
    )


def _is_allowed_host(provider: str, address: Address) -> bool:
    usual = address.port == PORTS["https"]
    return usual and any(pattern.fullmatch(address.host) for pattern in _KNOWN[provider])


def _allowed_hosts(entries: tuple[str, ...], source: str) -> frozenset[str]:
    if not all(_ALLOWED.fullmatch(entry) for entry in entries):
        raise UsageProblem(f"{source}: takes hosts only, as in gateway.example.com or gateway.example.com:8443")
    return frozenset(entry.lower() for entry in entries)


def _headers(spec: ServiceSpec, *, same_host: bool, iam: bool) -> tuple[dict[str, str], dict[str, str]]:
    """Headers for the data and the control URL. The project concerns the control URL only where one host is both."""
    if spec.provider == "oci" and not spec.project:
        raise EndpointError("service.project: missing; OCI needs the OCID of a generative AI project")
    if spec.provider == "oci" and iam and not spec.compartment:
        raise EndpointError("service.compartment: missing; OCI needs the OCID of the project's compartment")
    for field, value in (("project", spec.project), ("compartment", spec.compartment)):
        if value and not _HEADER.fullmatch(value):
            raise EndpointError(f"service.{field}: {value[:80]!a} holds characters no identifier has")
    project = {"OpenAI-Project": spec.project} if spec.project else {}
    compartment = {"opc-compartment-id": spec.compartment} if spec.compartment else {}
    return project | compartment, (project if same_host else {}) | compartment
