"""Where a manifest's requests go, with which identity, and whether they may: the rule that protects credentials.

A manifest is text that anybody may propose, so it never decides alone who receives a key or a document: a host is
one of its provider's own, or this machine, or named by the person who runs vssync. This module must not read files
or the process environment, reach the network, or touch a secret: of a key it only asks whether there is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from vssync.address import HOST, PORTS, Address, parse_address
from vssync.errors import UsageProblem, VssyncError
from vssync.model.service import Capabilities, ServiceSpec
from vssync.providers import AZURE, PROVIDERS, AuthKind, BaseUrl, Hint, Provider, Regions


class EndpointError(VssyncError):
    """The manifest's service cannot be used as written, or may not be."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who runs vssync and whom they trust, from flags; empty means not given.

    `auth_command` prints a token. `allow_hosts` are hosts, with or without a port, that may receive credentials and
    documents; `allow_http` the same, even without TLS. `realms` are regions that the caller's machine knows beyond
    the provider's own, with the domains of their hosts.
    """

    auth: str = ""
    control_auth: str = ""
    auth_command: str = field(default="", repr=False)  # its arguments may hold a secret
    profile: str = ""
    region: str = ""
    allow_hosts: tuple[str, ...] = ()
    allow_http: tuple[str, ...] = ()
    realms: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sourced:
    """A value and where it came from, so that an error names the place to change."""

    value: str = ""
    source: str = ""

    def error(self, problem: str) -> VssyncError:
        """The error for such a value."""
        kind = EndpointError if self.source.startswith("service.") else UsageProblem
        return kind(f"{self.source}: {problem}")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service, resolved and allowed. URLs have no trailing slash; headers hold no secret.

    `control_url` serves the stores themselves, `data_url` everything else. An `embedded` service runs in this
    process. `control_auth` is how requests to `control_url` prove who sends them, where it is not `auth`. `profile` is
    empty for OCI's default one. `capabilities` are those the manifest declares. `hints` explain answers by what is
    conspicuous about this service as it is written.
    """

    provider: Provider
    data_url: str
    control_url: str
    data_headers: Mapping[str, str]
    control_headers: Mapping[str, str]
    auth: AuthKind
    profile: str = ""
    region: str = ""
    embedded: bool = False
    capabilities: Capabilities = field(default_factory=Capabilities)
    control_auth: AuthKind | None = None
    auth_command: Sourced = field(default=Sourced(), repr=False)
    hints: tuple[Hint, ...] = ()

    @property
    def auth_kinds(self) -> tuple[AuthKind, AuthKind]:
        """How requests to the data address and to the control address prove who sends them."""
        return self.auth, self.control_auth or self.auth

    def hints_for(self, kind: AuthKind) -> tuple[Hint, ...]:
        """What refusals of requests that prove themselves so mean, the most specific first."""
        no_key = Hint((401,), "", f"no key was sent: set {self.provider.key_variables[0]}")
        general = (hint for hint in self.provider.hints if hint.signed in (None, kind.signs))
        return (*((no_key,) if kind is AuthKind.NONE else ()), *self.hints, *general)


_EMBEDDED_URL = "http://local/v1"
_ALLOWED = re.compile(rf"(?:{HOST})(?::[0-9]{{1,5}})?")
_LOOSE_URL = re.compile(rf"(?:https?://)?({HOST})(?::443)?(/[^?#]*)?(?:\?[^#]*)?(?:#.*)?", re.IGNORECASE)
_VERSION = re.compile(r"/v[0-9]+\b")
_HEADER = re.compile(r"[\x21-\x7e]{1,255}")


def resolve_endpoint(service: ServiceSpec, caller: Caller, environment: Mapping[str, str]) -> Endpoint:
    """The endpoint of a manifest's service, for the person who runs it.

    Raises EndpointError where the manifest is at fault or names a host nobody allowed, UsageProblem where a flag
    or a variable is.
    """
    provider = PROVIDERS.get(service.provider)
    if provider is None:
        raise EndpointError(f"service.provider: {service.provider!a} is unknown; use one of {', '.join(PROVIDERS)}")
    provider = provider.with_realms(caller.realms)
    if provider.embedded and not service.data_url:
        url, capabilities = _EMBEDDED_URL, service.declared_capabilities
        return Endpoint(provider, url, url, {}, {}, AuthKind.NONE, embedded=True, capabilities=capabilities)
    choice = _Choice(provider, service, caller, environment)
    control_auth = choice.control_auth()
    auth = choice.auth(control_auth)
    data, control, region = choice.addresses(control_auth or auth)
    _check_hosts(choice, ("data_url", data, auth), ("control_url", control, control_auth or auth))
    signs = auth.signs or (control_auth is not None and control_auth.signs)
    for needed in provider.required:
        if not getattr(service, needed.name) and (signs or not needed.signed):
            raise EndpointError(f"service.{needed.name}: missing; {needed.reason}")
    for name, value in (("project", service.project), ("compartment", service.compartment)):
        if value and not _HEADER.fullmatch(value):
            raise EndpointError(f"service.{name}: {value[:80]!a} holds characters that no identifier has")
    project = {"OpenAI-Project": service.project} if service.project else {}
    compartment = {"opc-compartment-id": service.compartment} if service.compartment else {}
    return Endpoint(
        provider=provider,
        data_url=str(data),
        control_url=str(control),
        data_headers=project | compartment,
        # The project concerns the control URL only where one host is both.
        control_headers=(project if data.host == control.host else {}) | compartment,
        auth=auth,
        profile=choice.first("--profile", caller.profile, ("OCI_CLI_PROFILE",), "profile").value if signs else "",
        region=region,
        capabilities=service.declared_capabilities,
        control_auth=None if control_auth is auth else control_auth,
        auth_command=choice.auth_command,
        hints=tuple(_hints(choice, {"control_url": control, "data_url": data}, region)),
    )


@dataclass(frozen=True, slots=True)
class _Choice:
    """What applies of a manifest's service, the flags and the environment: flags first, the manifest last."""

    provider: Provider
    service: ServiceSpec
    caller: Caller
    environment: Mapping[str, str]

    def first(self, flag: str, value: str, variables: tuple[str, ...], field: str = "") -> Sourced:
        """The first that has a value: a flag, these variables, a field of the service."""
        pairs = [(flag, value), *((name, self.environment.get(name, "")) for name in variables)]
        written = (f"service.{field}", getattr(self.service, field)) if field else ("", "")
        source, value = next((pair for pair in pairs if pair[1].strip()), written)
        return Sourced(value, source)

    @property
    def auth_command(self) -> Sourced:
        """What prints a token. A manifest has no say in it: it would run what anybody may propose."""
        return self.first("--auth-command", self.caller.auth_command, ("VSSYNC_AUTH_COMMAND",))

    def control_auth(self) -> AuthKind | None:
        """How stores are asked for, where it is said; otherwise as files are."""
        return self._kind(
            self.first("--control-auth", self.caller.control_auth, ("VSSYNC_CONTROL_AUTH",), "control_auth")
        )

    def auth(self, control_auth: AuthKind | None) -> AuthKind:
        """How files are asked for. A key that is set is meant to be used, unless somebody asked for a profile."""
        provider, command = self.provider, self.auth_command
        kind = self._kind(self.first("--auth", self.caller.auth, provider.auth_variables, "auth"))
        if kind is None:
            has_key = command.value or any(self.environment.get(name, "").strip() for name in provider.key_variables)
            is_profile_for_stores = control_auth is not None and control_auth.signs
            wants_profile = provider.default_auth.signs and (self.caller.profile or self.service.profile)
            is_bearer = has_key and (is_profile_for_stores or self.caller.auth_command or not wants_profile)
            kind = AuthKind.BEARER if is_bearer else provider.default_auth
        if self.caller.auth_command and AuthKind.BEARER not in (kind, control_auth):
            raise command.error(
                f"prints a bearer token, and this service is used with `auth: {kind}`; say --auth bearer"
            )
        return kind

    def _kind(self, choice: Sourced) -> AuthKind | None:
        """The kind of credential that somebody named."""
        provider = self.provider
        if choice.value in provider.auth_kinds:
            return AuthKind(choice.value)
        if choice.value == AuthKind.API_KEY:
            raise choice.error(
                "`api_key` means two things: for OCI's command line a key in ~/.oci/config that signs requests, for "
                "generative AI a secret that is sent along; say `signing_key` or `bearer` (--auth, VSSYNC_AUTH)"
            )
        if choice.value:
            kinds = ", ".join(provider.auth_kinds)
            raise choice.error(f"provider {provider.name} does not take {choice.value!a}; use one of {kinds}")
        return None

    def addresses(self, control_auth: AuthKind) -> tuple[Address, Address, str]:
        """The data and the control address, and the region; empty where there are none."""
        service, regions, provider = self.service, self.provider.regions, self.provider
        data_url = service.data_url or provider.url
        data = _address(data_url, "data_url", provider) if data_url else None
        control = _address(service.control_url, "control_url", provider) if service.control_url else None
        if regions is None:
            if data is None:
                example = _example_url(provider) or "https://host/v1"
                raise EndpointError(f"service.data_url: missing; provider {provider.name} needs one, such as {example}")
            return data, control or data, ""
        if data is None:
            region = self.region(regions)
            domain = regions.domain_of(region)
        elif match := re.fullmatch(regions.host_pattern, data.host):
            region, domain = match.groups()
            if self.caller.region not in ("", region):
                raise UsageProblem(f"--region: the manifest's service.data_url is in {region}; leave out one of them")
        else:  # a gateway
            return data, control or data, self.region(regions, required=False)
        control_url = regions.control_url if control_auth.signs else regions.bearer_control_url
        data = data or _address(regions.data_url.format(region=region, domain=domain), "region", provider)
        return data, control or _address(control_url.format(region=region, domain=domain), "region", provider), region

    def region(self, regions: Regions, *, required: bool = True) -> str:
        """The region that is named by itself, not by an address."""
        choice = self._region
        example = regions.example
        if choice.value and not re.fullmatch(regions.name, choice.value):
            raise choice.error(f"{choice.value!a} is not the name of a region; write it in full, such as {example}")
        if required and not choice.value:
            raise choice.error(f"missing; name the project's region, such as {example} (or --region, OCI_REGION)")
        return choice.value

    @property
    def _region(self) -> Sourced:
        return self.first("--region", self.caller.region, ("OCI_REGION",), "region")

    def project_problem(self, region: str) -> str:
        """What is wrong with a project whose OCID is of another region than its service; empty where it is not so."""
        of_project = region_of(self.service.project)
        if not (of_project and region) or of_project == region:
            return ""
        source = self._region.source if self._region.value == region else "service.data_url"
        return (
            f"the OCID in `service.project` is of region {of_project}, but the service is that of {region}: name a "
            f"project of {region}, or {of_project} in `{source}`"
        )


def _address(url: str, field: str, provider: Provider) -> Address:
    """The error names the URL that was probably meant, not the one given: a password may stand in that."""
    address, form = parse_address(url), provider.base_url
    if address and not (form and provider.owns(address.host) and not form.fits(address.path)):
        return address
    if form and (meant := _likely_url(url, provider, form)):
        problem = next((problem for mistake, problem in form.mistakes if re.search(mistake, url)), "")
        problem = problem or f"base URLs of provider {provider.name} end in {form.path}"
        raise EndpointError(f"service.{field}: {problem}; write {meant}")
    if "api-version" in url:
        bare = parse_address(url.partition("?")[0])
        meant = f"{bare}{'' if _VERSION.search(bare.path) else '/v1'}" if bare else _example_url(AZURE)
        raise EndpointError(
            f"service.{field}: an `api-version` belongs to an older API; write the address of the v1 API, without a "
            f"query, such as {meant}"
        )
    raise EndpointError(
        f"service.{field}: not an address vssync takes; write https://host/path in plain ASCII, without user, query "
        "or fragment (a host in another alphabet in its xn-- form, an IP address in full)"
    )


def region_of(ocid: str) -> str:
    """The region an OCID names in full; empty where it names none, or by a short key."""
    parts = ocid.split(".")
    return parts[3] if len(parts) > 4 and "-" in parts[3] else ""


def project_problem(service: ServiceSpec, caller: Caller, environment: Mapping[str, str]) -> str:
    """What is wrong with a service's project, as far as the OCID and the address tell; empty where nothing is.

    What else is wrong with the service is for `resolve_endpoint` to say.
    """
    provider = PROVIDERS[service.provider]
    with suppress(VssyncError):
        choice = _Choice(provider, service, caller, environment)
        return choice.project_problem(choice.addresses(provider.default_auth)[2])
    return ""


def _hints(choice: _Choice, addresses: Mapping[str, Address], region: str) -> Iterator[Hint]:
    """What answers may mean because of how this service is written, before what they mean in general."""
    if problem := choice.project_problem(region):
        yield Hint((400, 401, 403, 404), "", problem)
    bare = {
        address: name
        for name, address in addresses.items()
        if not (choice.provider.owns(address.host) or _VERSION.search(address.path))
    }
    if bare:
        written = " and ".join(f"`{name}: {address}/v1`" for address, name in bare.items())
        paths = "|".join(re.escape(address.path) for address in bare)
        way_out = f"base URLs mostly end in /v1: if this one does, too, write {written}"
        yield Hint((404, 405), "", way_out, f"GET (?:{paths})/(?:vector_stores|files)")


def _example_url(provider: Provider) -> str:
    """A base URL as people write it; empty where the provider's have no form of their own."""
    return provider.base_url.example.format(name="RESOURCE") if provider.base_url else ""


def _likely_url(url: str, provider: Provider, form: BaseUrl) -> str:
    """The base URL that was probably meant by a resource's name, or by another address on a host of the provider's own;
    empty where it cannot be told."""
    if not (match := _LOOSE_URL.fullmatch(url)):
        return ""
    host, path = match.group(1).lower(), match.group(2) or ""
    if host == url.lower() and "." not in host:
        host = urlsplit(form.example.format(name=host)).netloc
    prefix = re.match(form.prefix, path)
    return f"https://{host}{prefix.group() if prefix else ''}{form.path}" if provider.owns(host) else ""


def _check_hosts(choice: _Choice, *addresses: tuple[str, Address, AuthKind]) -> None:
    """The credential rule. Documents go where credentials go, so it holds for services without one, too."""
    provider, caller = choice.provider, choice.caller
    listed = tuple(filter(None, re.split(r"[,\s]+", choice.environment.get("VSSYNC_ALLOW_HOSTS", ""))))
    plain = _allowed_hosts(caller.allow_http, "--allow-http")
    allowed = _allowed_hosts(caller.allow_hosts, "--allow-host") | _allowed_hosts(listed, "VSSYNC_ALLOW_HOSTS") | plain
    for name, address, auth in addresses:
        way_out = f"say --allow-host {address.host} (or VSSYNC_ALLOW_HOSTS)"
        if address.is_local:
            # Any program of this machine may listen there. A signature is good for one request, a bearer key for all.
            if auth.sends_key and not provider.self_hosted and not address.is_among(allowed):
                raise EndpointError(
                    f"service.{name} {address}: this machine is not a host of provider {provider.name}, and a manifest "
                    f"alone may not send a bearer key there; if you trust what listens there, {way_out}"
                )
            continue
        if address.scheme == "http" and not address.is_among(plain):
            raise EndpointError(
                f"service.{name} {address}: plain HTTP would show credentials and documents to the network; "
                f"use https, or allow it with --allow-http {address.host}"
            )
        is_own = address.port == PORTS["https"] and provider.owns(address.host)
        if not (is_own or address.is_among(allowed)):
            owner = next((other.name for other in PROVIDERS.values() if other.owns(address.host)), "")
            example = f", such as {example}" if (example := _example_url(provider)) else ""
            way_out = f"say `provider: {owner}`" if owner else f"if you trust it, {way_out}"
            raise EndpointError(
                f"service.{name} {address}: not a host of provider {provider.name}{example}, and a manifest alone may "
                f"not send credentials and documents there; {way_out}"
            )


def _allowed_hosts(entries: tuple[str, ...], source: str) -> frozenset[str]:
    if not all(_ALLOWED.fullmatch(entry) for entry in entries):
        raise UsageProblem(f"{source}: takes hosts only, such as gateway.example.com or gateway.example.com:8443")
    return frozenset(entry.lower() for entry in entries)
