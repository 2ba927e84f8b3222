"""A row a provider: where it is, who may call it, what it takes, and what to tell people about it.

A new provider is a row here, a word in the manifest's schema, a page of the guide, and tests; a wizard field of a new
name is also an option of `init` (`cli/init.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from vssync.limits import MAX_UPLOAD_BYTES


class AuthKind(StrEnum):
    """How requests prove who sends them."""

    NONE = "none"
    BEARER = "bearer"
    API_KEY = "api_key"  # a key in the header `api-key`
    SIGNING_KEY = "signing_key"  # a profile of ~/.oci/config
    SECURITY_TOKEN = "security_token"  # a profile that holds a session
    INSTANCE_PRINCIPAL = "instance_principal"
    RESOURCE_PRINCIPAL = "resource_principal"
    OKE_WORKLOAD_IDENTITY = "oke_workload_identity"

    @property
    def signs(self) -> bool:
        """Whether each request is signed, as OCI's identity service asks."""
        return self is not AuthKind.NONE and not self.sends_key

    @property
    def sends_key(self) -> bool:
        """Whether each request carries a secret that is good for others, too."""
        return self in (AuthKind.BEARER, AuthKind.API_KEY)


class Bucket(StrEnum):
    """What a request counts against; the values are the names a user changes limits by."""

    REQUESTS = "requests"  # every request
    UPLOADS = "uploads"
    ATTACHES = "attaches"  # requests that attach, per store
    FILES = "files"  # files attached, however many a request


@dataclass(frozen=True, slots=True)
class Regions:
    """How addresses follow from a region, and a region from an address.

    The URLs hold `{region}` and `{domain}`, and so does `host`, a pattern in which both are groups. `realms` are the
    regions by domain; one that is not named is of `domain`.
    """

    name: str
    example: str
    domain: str
    realms: Mapping[str, str]
    host: str
    data_url: str
    control_url: str
    bearer_control_url: str  # where the other one takes no bearer key

    def domain_of(self, region: str) -> str:
        """The domain of a region's hosts."""
        return next((domain for domain, names in self.realms.items() if region in names.split()), self.domain)

    @property
    def host_pattern(self) -> str:
        """What matches a host of any region; region and domain are its groups."""
        return self.host.format(region=self.name, domain="|".join(map(re.escape, (self.domain, *self.realms))))

    def with_domains(self, domains: Mapping[str, str]) -> Regions:
        """With more regions, by name, and the domains of their hosts; a region of one of `realms` stays there."""
        added = {region: domain for region, domain in domains.items() if self.domain_of(region) == self.domain}
        realms = dict(self.realms)
        for region, domain in added.items():
            realms[domain] = f"{realms.get(domain, '')} {region}"
        return replace(self, name="|".join((self.name, *map(re.escape, added))), realms=realms)


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """What base URLs on a provider's own hosts look like: they end in `path`, and `prefix` (a regular expression) may
    stand before it.

    `example` holds `{name}` for what a customer chooses. `mistakes` are what people paste instead, as expressions, each
    with what is wrong with it.
    """

    path: str
    example: str
    prefix: str = ""
    mistakes: tuple[tuple[str, str], ...] = ()

    def fits(self, path: str) -> bool:
        """Whether the path of an address is that of a base URL."""
        return re.fullmatch(f"(?:{self.prefix})?{self.path}", path) is not None


@dataclass(frozen=True, slots=True)
class RequiredField:
    """A field of `service` without which no request is valid; `signed`: only where requests are signed."""

    name: str
    reason: str
    signed: bool = False


@dataclass(frozen=True, slots=True)
class WizardField:
    """A field of `service` that `init` asks for, and what it writes until somebody knows better."""

    name: str
    question: str
    example: str


@dataclass(frozen=True, slots=True)
class Hint:
    """What to do about an answer of these statuses whose code or message matches `words`, to such a request."""

    statuses: tuple[int, ...]
    words: str
    way_out: str
    request: str = ".*"  # method and path
    signed: bool | None = None  # only of requests that are signed, or are not; None: of both


@dataclass(frozen=True, slots=True)
class Provider:
    """A kind of service. Its own hosts may receive credentials and documents without being allowed."""

    name: str
    init_note: str  # the comment above `service` in a new manifest
    documents: frozenset[str]  # what people mean by documents, of what it can read
    hosts: tuple[str, ...] = ()
    url: str = ""  # where the manifest names none
    base_url: BaseUrl | None = None  # None: any path will do
    embedded: bool = False  # without an address, it runs inside vssync
    self_hosted: bool = False  # people run it themselves, on this machine, too; any other's key is for its own hosts
    regions: Regions | None = None
    required: tuple[RequiredField, ...] = ()
    auth_kinds: tuple[AuthKind, ...] = (AuthKind.NONE, AuthKind.BEARER)
    default_auth: AuthKind = AuthKind.NONE  # where no key is set
    auth_variables: tuple[str, ...] = ("VSSYNC_AUTH",)
    key_variables: tuple[str, ...] = ("VSSYNC_API_KEY",)  # the first that is set
    has_policies: bool = False  # permissions are policy statements, which `doctor` prints
    extensions: frozenset[str] | None = None  # what it takes, unless a manifest's `formats` say more; None: any
    max_file_bytes: int = MAX_UPLOAD_BYTES
    max_store_files: int | None = None  # files that a store holds at most, whoever attached them; None: no limit known
    rates: Mapping[Bucket, int] = field(default_factory=dict)  # allowed a minute; none are known otherwise
    absent_as_400: bool = False  # a 400 that says "not found" means that an object is not there
    new_store_seconds: int = 0  # usually, until a new store can be used
    lists_batches: bool = True
    shares_chunks: bool = False  # these three are capabilities: what is taken to be so where the manifest does not say
    updates_reach_search: bool | None = True  # None: not known
    wizard_fields: tuple[WizardField, ...] = ()
    hints: tuple[Hint, ...] = ()

    def owns(self, host: str) -> bool:
        """Whether a host, in lower case, is one of its own."""
        return any(re.fullmatch(own, host) for own in self.hosts)

    def takes(self, extension: str) -> bool:
        """Whether it takes files of this extension, in lower case, where a manifest's `formats` say nothing of it."""
        return self.extensions is None or extension in self.extensions

    @property
    def is_any_service(self) -> bool:
        """Whether it stands for services of which nothing is known in advance."""
        return self.extensions is None

    @property
    def proven_extensions(self) -> frozenset[str]:
        """The kinds of files that it reads for sure, or where it may be any service, that such services read."""
        return self.extensions if self.extensions is not None else self.documents

    def with_realms(self, domains: Mapping[str, str]) -> Provider:
        """With more regions, and their hosts as its own: `domains`, by region, must come from whoever runs this."""
        if self.regions is None or not domains:
            return self
        regions = self.regions.with_domains(domains)
        return replace(self, hosts=(*self.hosts, regions.host_pattern), regions=regions)


_CODE = (".c", ".cpp", ".cs", ".css", ".go", ".html", ".java", ".js", ".json", ".php", ".py", ".rb", ".sh", ".ts")
_OFFICE = (".pdf", ".doc", ".docx", ".pptx")
_PLAIN = (".md", ".txt", ".html", ".tex")
_OPENAI_EXTENSIONS = frozenset((*_CODE, *_OFFICE, *_PLAIN))  # OpenAI's page on file search
# What is text whoever takes it: such a file is read as UTF-8, or as UTF-16 with a byte order mark.
TEXT_EXTENSIONS = frozenset((*_CODE, *_PLAIN, ".adoc", ".csv", ".htm", ".markdown", ".mdx", ".org", ".rst", ".xml"))
_OPENAI_RATES = {Bucket.UPLOADS: 1000, Bucket.ATTACHES: 300, Bucket.FILES: 2000}  # OpenAI spec
_OPENAI_HOST = r"api\.openai\.com"
# A resource's own name, in Azure's public cloud and in Azure Government. Gateways (`azure-api.net`) are not among them:
# whoever runs one sees the credentials.
_AZURE_HOST = r"[a-z0-9][a-z0-9-]{0,62}[a-z0-9]\.(?:openai|services\.ai)\.azure\.(?:com|us)"

# OCI's realms beside the commercial one, by the domain of their hosts.
_COMMERCIAL = "oraclecloud.com"
_REALMS = {
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
# Classes are spelled out: ignoring case would let other alphabets' letters through, such as the Kelvin sign for k.
_REGION = r"[a-z]{2}(?:-[a-z]{1,20}){1,3}-[0-9]{1,2}"
_OCI_REGIONS = Regions(
    name=_REGION,
    example="us-chicago-1",
    domain=_COMMERCIAL,
    realms=_REALMS,
    host=r"(?:inference\.)?generativeai\.({region})\.oci\.({domain})",
    data_url="https://inference.generativeai.{region}.oci.{domain}/openai/v1",
    control_url="https://generativeai.{region}.oci.{domain}/20231130/openai/v1",
    bearer_control_url="https://inference.generativeai.{region}.oci.{domain}/20231130/openai/v1",
)
_OCI_PROJECT = (
    "`service.project` must be the OCID of a generative AI project of the same region; a project made minutes ago is "
    "not known everywhere yet"
)
DOCTOR_HINT = "`vssync doctor` shows whose it is"

LOCAL = Provider(
    "local",
    init_note="The service inside vssync: no account, no network. It keeps what it stores in .vssync/local/ beside "
    "this file. `oci`, `openai`, `azure` and `compatible` are services elsewhere.",
    documents=frozenset(_PLAIN),
    embedded=True,
    self_hosted=True,
    extensions=frozenset((*_CODE, *_PLAIN)),  # it has no parsers, and what it cannot read ends as failed
)
OCI = Provider(
    "oci",
    init_note="OCI Generative AI. Requests are signed with a profile of ~/.oci/config (pip install 'vssync[oci]'), or "
    "carry the key in VSSYNC_API_KEY. Secrets never stand in a manifest.",
    documents=frozenset((".md", ".txt", ".pdf")),
    hosts=(_OCI_REGIONS.host_pattern,),
    regions=_OCI_REGIONS,
    required=(
        RequiredField("project", "OCI needs the OCID of a generative AI project"),
        RequiredField("compartment", "OCI needs the OCID of the project's compartment", signed=True),
    ),
    auth_kinds=(AuthKind.BEARER, *(kind for kind in AuthKind if kind.signs)),
    default_auth=AuthKind.SIGNING_KEY,
    auth_variables=("VSSYNC_AUTH", "OCI_CLI_AUTH"),
    key_variables=("VSSYNC_API_KEY", "OCI_GENAI_API_KEY"),
    has_policies=True,
    extensions=frozenset((".pdf", ".md", ".txt")),
    rates=_OPENAI_RATES,
    lists_batches=False,  # OCI's pages print the operation, and show an example of another one
    new_store_seconds=60,  # reported of live OCI: 36 to 60, and 10 to 30 more at the data address
    wizard_fields=(
        WizardField("region", "the OCI region", "us-chicago-1"),
        WizardField(
            "project", "the OCID of the Generative AI project", "ocid1.generativeaiproject.oc1.us-chicago-1.CHANGE"
        ),
        WizardField("compartment", "the OCID of the project's compartment", "ocid1.compartment.oc1..CHANGE"),
    ),
    hints=(
        Hint((400, 404), r"\bproject\b", _OCI_PROJECT),
        Hint((400,), r"compartment", f"OCI says so also of a missing or empty project: {_OCI_PROJECT}"),
        Hint(
            (401,),
            "",
            "the key was not accepted: it is wrong, expired (by default after three months), of another region, or "
            "older than its policy, and then it stays refused: create the policy first, then a new key",
            signed=False,
        ),
        Hint(
            (401,),
            "",
            "the signature was not accepted: check that the public key of this profile is uploaded for its user, and "
            f"that the tenancy is subscribed to the region; {DOCTOR_HINT}",
            signed=True,
        ),
        Hint(
            (404,),
            r"authori[sz]ed|authori[sz]ation",
            "OCI answers the same for what does not exist and for what this identity may not see; `vssync doctor` "
            "helps to tell them apart",
        ),
        Hint((403,), "", "this identity may not do that; `vssync doctor` prints the policy statements it needs"),
    ),
)
OPENAI = Provider(
    "openai",
    init_note="OpenAI. The key is taken from VSSYNC_API_KEY or OPENAI_API_KEY; secrets never stand in a manifest.",
    documents=frozenset((*_PLAIN, *_OFFICE)),
    hosts=(_OPENAI_HOST,),
    url="https://api.openai.com/v1",
    base_url=BaseUrl("/v1", "https://api.openai.com/v1"),
    auth_kinds=(AuthKind.BEARER,),
    default_auth=AuthKind.BEARER,
    key_variables=("VSSYNC_API_KEY", "OPENAI_API_KEY"),
    extensions=_OPENAI_EXTENSIONS,
    rates=_OPENAI_RATES,
    lists_batches=False,  # OpenAI spec: there is no such operation
)
AZURE = Provider(
    "azure",
    init_note="Azure OpenAI, or a Microsoft Foundry project, by the v1 API. The key is taken from VSSYNC_API_KEY or "
    "AZURE_OPENAI_API_KEY; secrets never stand in a manifest.",
    documents=frozenset((*_PLAIN, *_OFFICE)),
    hosts=(_AZURE_HOST,),
    base_url=BaseUrl(
        "/openai/v1",
        "https://{name}.openai.azure.com/openai/v1",
        prefix="/api/projects/[A-Za-z0-9._-]+",
        mistakes=(
            ("/deployments/", "is the address of a deployed model, and stores belong to the resource"),
            (r"[?&]api-version=", "has an `api-version`, which the v1 API does not take"),
        ),
    ),
    auth_kinds=(AuthKind.BEARER, AuthKind.API_KEY),
    default_auth=AuthKind.BEARER,
    key_variables=("VSSYNC_API_KEY", "AZURE_OPENAI_API_KEY"),
    extensions=_OPENAI_EXTENSIONS - {".go"},  # Microsoft's page on file search
    max_store_files=10_000,  # Microsoft's page on vector stores for file search
    rates=_OPENAI_RATES,  # Microsoft publishes none
    lists_batches=False,  # Microsoft's REST reference has no such operation
    wizard_fields=(
        WizardField("data_url", "the base URL of the resource or project", "https://CHANGE.openai.azure.com/openai/v1"),
    ),
    hints=(
        Hint(
            (401,),
            "",
            "the credential was not accepted: a key belongs to one resource, and a token expires after about an hour; "
            f"{DOCTOR_HINT}",
        ),
        Hint(
            (403,),
            r"AuthenticationTypeDisabled|key.based authentication",
            "this resource takes no keys; send a Microsoft Entra token as bearer key",
        ),
        Hint((403,), r"public access|virtual network|firewall", "the resource's network rules keep this machine out"),
        Hint((403,), "", "this identity may not do that; assign it a role on the resource that may write files"),
        Hint((400, 404), r"api.version", "this address is not of the v1 API: base URLs of it end in /openai/v1"),
        Hint(
            (404,),
            r"\bresource not found\b",
            "there are no vector stores at this address: check `data_url`, and whether file search is offered in the "
            "resource's region",
        ),
    ),
)
COMPATIBLE = Provider(
    "compatible",
    init_note="A service that speaks OpenAI's vector store API. A key is taken from VSSYNC_API_KEY; secrets never "
    "stand in a manifest. Whoever runs vssync allows the host with --allow-host.",
    documents=frozenset((*_PLAIN, *_OFFICE)),
    hosts=(_OCI_REGIONS.host_pattern, _OPENAI_HOST),
    self_hosted=True,
    absent_as_400=True,
    shares_chunks=True,  # as ogx and llama-stack have it; harmless where it is not so
    updates_reach_search=None,
    wizard_fields=(WizardField("data_url", "the service's base URL", "https://CHANGE.example.com/v1"),),
)
PROVIDERS: dict[str, Provider] = {provider.name: provider for provider in (LOCAL, OCI, OPENAI, AZURE, COMPATIBLE)}
