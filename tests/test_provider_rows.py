"""A provider is a row: what depends on the provider is read there, and a new row is enough for a new one."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from tests.doctor.builders import service_of
from tests.support import Clock
from vssync.api.errors import way_out
from vssync.api.rate_limit import rates
from vssync.commands.init import DraftEntry, ManifestDraft, draft_text
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.endpoints import Caller, EndpointError, resolve_endpoint
from vssync.errors import Answer, ManifestError
from vssync.local.ingestion import READABLE
from vssync.local.server import serving
from vssync.model.plan import Action, Options
from vssync.model.service import ServiceSpec
from vssync.planner.estimate import estimate_cost
from vssync.providers import PROVIDERS, TEXT_EXTENSIONS, AuthKind, Bucket, Hint, Provider, RequiredField, WizardField
from vssync.sources.schemas import schema_text

HARBOUR = Provider(
    "harbour",
    init_note="Harbour's vector stores.",
    documents=frozenset((".md",)),
    hosts=(r"stores\.harbour\.example",),
    url="https://stores.harbour.example/v1",
    required=(RequiredField("project", "Harbour needs the name of a pier"),),
    auth_kinds=(AuthKind.BEARER,),
    default_auth=AuthKind.BEARER,
    auth_variables=("HARBOUR_AUTH",),
    key_variables=("VSSYNC_API_KEY", "HARBOUR_KEY"),
    extensions=frozenset((".md",)),
    max_file_bytes=64,
    max_store_files=3,
    rates={Bucket.UPLOADS: 1},
    absent_as_400=True,
    wizard_fields=(WizardField("project", "the pier", "pier-1"),),
    hints=(Hint((403,), "", "ask the harbour master"),),
)


HERE = Caller(allow_hosts=("127.0.0.1",))


@pytest.fixture(autouse=True)
def harbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "harbour", HARBOUR)


def settings_for(folder: Path, service: str = "", **documents: str) -> Settings:
    for name, text in documents.items():
        (folder / name.replace("_", ".")).write_text(text)
    (folder / "vssync.yaml").write_text(
        f"version: 1\nowner: shelf\nservice: {{provider: harbour, project: pier-1{service}}}\n"
        "stores: {guide: {files: [{path: '*.{md,pdf}'}]}}\n"
    )
    return Settings(manifest=str(folder), workers=1, caller=HERE, environment={"HARBOUR_KEY": "k"})


def test_a_new_row_is_validated_and_planned_over_a_port(tmp_path: Path) -> None:
    with service_of(tmp_path, "openai") as service, serving(service) as url:
        settings = settings_for(tmp_path, f", data_url: '{url}'", a_md="# A\n", b_md="# B\n")
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            plan = make_plan_now(session, Options())
            assert [(change.key, change.action) for change in plan.stores[0].files] == [
                ("a.md", Action.CREATE),
                ("b.md", Action.CREATE),
            ]
            assert estimate_cost(plan).seconds == 120
            assert session.credential
            assert session.credential.identity == "bearer key from HARBOUR_KEY"


@pytest.mark.parametrize(
    ("documents", "words"),
    [
        ({"a_pdf": "x"}, "`.pdf` is not among those of the provider `harbour`"),
        ({"a_md": "x" * 65}, "the file has 65 bytes; 64 are allowed"),
    ],
)
def test_its_files_are_checked(tmp_path: Path, documents: dict[str, str], words: str) -> None:
    with pytest.raises(ManifestError) as caught:
        load_manifest(settings_for(tmp_path, **documents))
    assert words in str(caught.value)


def test_a_store_that_would_hold_too_many_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    with service_of(tmp_path, "openai") as service, serving(service) as url:
        place = f", data_url: '{url}'"
        settings = settings_for(tmp_path, place, a_md="# A\n", b_md="# B\n", c_md="# C\n", d_md="# D\n")
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            (refusal,) = make_plan_now(session, Options()).refusals
            assert refusal.message == "guide: it would hold 4 files; harbour allows 3 in a store."
            assert (list(session.client.list_uploads()), session.client.list_stores()) == ([], ())


def test_its_address_and_headers_follow_from_the_row() -> None:
    endpoint = resolve_endpoint(ServiceSpec("harbour", project="pier-1"), Caller(), {})
    assert (endpoint.data_url, endpoint.control_url) == (HARBOUR.url, HARBOUR.url)
    assert (endpoint.auth, endpoint.data_headers) == (AuthKind.BEARER, {"OpenAI-Project": "pier-1"})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"project": ""}, "service.project: missing; Harbour needs"),
        ({"data_url": "https://api.openai.com/v1"}, "not a host of provider harbour"),
        ({"auth": "none"}, "service.auth: provider harbour does not take 'none'; use one of bearer"),
    ],
)
def test_its_rules_hold(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(EndpointError, match=words):
        resolve_endpoint(replace(ServiceSpec("harbour", project="pier-1"), **changes), Caller(), {})


def test_its_limits_hints_and_wizard_are_used() -> None:
    assert rates(HARBOUR, "files=5") == {Bucket.UPLOADS: 1, Bucket.FILES: 5}
    assert way_out(HARBOUR.hints, Answer("GET", "/files", 403)) == "ask the harbour master"
    draft = draft_text(ManifestDraft("shelf", "harbour", {}, (DraftEntry("*.md"),)))
    assert (
        "# Harbour's vector stores.\nservice:\n  provider: harbour\n  project: pier-1  # the pier; write yours\n"
        in draft
    )


def test_the_schema_names_every_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PROVIDERS, "harbour")
    service = json.loads(schema_text("manifest.schema.json"))["definitions"]["service"]
    assert service["properties"]["provider"]["enum"] == list(PROVIDERS)


@pytest.mark.parametrize("name", list(PROVIDERS))
def test_a_row_agrees_with_itself(name: str) -> None:
    provider = PROVIDERS[name]
    of_service = {field.name for field in fields(ServiceSpec)}
    assert provider.name == name
    assert provider.default_auth in provider.auth_kinds
    named = [field.name for field in provider.wizard_fields] + [field.name for field in provider.required]
    assert set(named) <= of_service
    assert provider.extensions is None or provider.documents <= provider.extensions


def test_the_local_row_has_what_its_service_reads() -> None:
    """What the service accepts and then cannot read is not supported: no plan promises it."""
    assert PROVIDERS["local"].extensions == frozenset(READABLE)
    assert READABLE <= TEXT_EXTENSIONS
