"""The guide's page of each provider: its manifests find their endpoints, its policy lines are those doctor prints."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from vssync.api.rate_limit import rates
from vssync.commands.doctor.finding import POLICY_SUBJECTS, policy_statement
from vssync.commands.doctor.redact import WORDS
from vssync.commands.doctor.write_probes import FILES, REQUESTS
from vssync.endpoints import Caller, resolve_endpoint
from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.yaml_loader import parse_document
from vssync.model.service import Capabilities
from vssync.providers import PROVIDERS, Bucket
from vssync.sources.schemas import load_schema

FOLDER = Path(__file__).parents[2] / "examples/quickstart/docs/providers"
PAGES = {path.stem: path.read_text() for path in FOLDER.glob("*.md")}
COMPATIBLE = ("ogx", "llama-stack", "litellm")  # services of that provider with a page of their own
SCHEMA = load_schema("manifest.schema.json")
MANIFESTS = [
    (provider, text)
    for provider, page in PAGES.items()
    for text in re.findall(r"^```yaml\n(version:.*?)^```$", page, re.MULTILINE | re.DOTALL)
]


def test_every_provider_has_a_page() -> None:
    assert set(PAGES) == {*PROVIDERS, *COMPATIBLE}
    assert {provider for provider, _ in MANIFESTS} == set(PAGES)


@pytest.mark.parametrize(("page", "text"), MANIFESTS)
def test_each_manifest_finds_its_endpoint(page: str, text: str) -> None:
    service = build_manifest(
        Documents(check_document(parse_document(text, "vssync.yaml"), SCHEMA)), SCHEMA, None, {}
    ).service
    caller = Caller(allow_hosts=("vectors.example.com", "127.0.0.1"))
    endpoint = resolve_endpoint(service, caller, {"VSSYNC_API_KEY": "k"})
    assert endpoint.provider.name == service.provider
    assert service.provider == "compatible" if page in COMPATIBLE else page in (service.provider, "local")
    assert service.capabilities.keys() <= {field.name for field in fields(Capabilities)}


def test_the_policy_lines_are_those_doctor_prints() -> None:
    shown = re.findall(r"^Allow .*$", PAGES["oci"], re.MULTILINE)
    assert sorted(shown) == sorted(
        {policy_statement(kind, "", verb) for kind in POLICY_SUBJECTS for verb in ("manage", "read")}
    )


@pytest.mark.parametrize("provider", ["oci", "openai"])
def test_the_limits_named_are_the_ones_kept(provider: str) -> None:
    found = rates(PROVIDERS[provider])
    page = re.sub(r"\s+", " ", PAGES[provider])
    assert f"{found[Bucket.UPLOADS]:,} uploads a minute" in page
    assert f"{found[Bucket.ATTACHES]} attach requests a minute for each store" in page
    assert re.search(rf"{found[Bucket.FILES]:,} (attached )?files a minute", page)


def test_every_capability_is_explained() -> None:
    assert set(re.findall(r"^\| `(\w+): ", PAGES["compatible"], re.MULTILINE)) == set(Capabilities.__slots__)


@pytest.mark.parametrize("provider", ["oci", "openai"])
def test_each_page_says_that_nothing_ran_live(provider: str) -> None:
    assert "**Nothing on this page has run against" in PAGES[provider]
    assert "| **not verified** |" in PAGES[provider]


def test_the_page_on_evidence_explains_every_field() -> None:
    page = (FOLDER.parent / "evidence.md").read_text()
    names = [name for row in re.findall(r"^\| (`.+?`) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)]
    assert names == [name for name in load_schema("evidence.schema.json")["properties"] if name in names]
    assert {*names} == {*load_schema("evidence.schema.json")["properties"]}
    assert f"{FILES} small files, sends about\n{REQUESTS} requests" in page
    assert f"some {round(len(WORDS), -2)} technical words" in page
