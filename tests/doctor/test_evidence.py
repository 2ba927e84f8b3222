"""Evidence is of use to strangers, and holds nothing that is not theirs to know."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import pytest

from tests.doctor.builders import manifest, service_fields, service_of
from tests.support import Clock
from vssync.commands.doctor.examine import Diagnosis, examine
from vssync.commands.doctor.finding import Finding
from vssync.commands.doctor.redact import WORDS, id_form, plain, sentence, shape
from vssync.commands.doctor.scratch import new_word
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.local.server import serving
from vssync.sources.schemas import load_schema

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

SCHEMA = load_schema("evidence.schema.json")
KEY = "sk-live-4f9a8b7c6d5e"
PROJECT = "ocid1.generativeaiproject.oc1..amaaaaaaplantedproject"
COMPARTMENT = "ocid1.compartment.oc1..aaaaaaaaplantedcompartment"
SECRETS = (
    KEY,
    PROJECT,
    COMPARTMENT,
    "ocid1.tenancy.oc1..aaaaaaaaplantedtenancy",
    "vectors.acmecorp.example",
    "https://alice:hunter2@10.20.30.40:8443/v1?sig=deadbeef",
    "alice@acmecorp.example",
    "Quarterly layoffs of Acmecorp",
    "-----BEGIN PRIVATE KEY-----",
    "acmecorp",
    "/home/alice/layoffs.key",
)
PIECES = {piece.lower() for secret in SECRETS for piece in re.findall(r"[A-Za-z0-9]{4,}", secret)}
PIECES -= {*WORDS, "chicago"}  # the region is said


def gathered(
    folder: Path,
    app: Callable[[WSGIApplication], WSGIApplication],
    spoken: str,
    *,
    probe: bool = True,
    **environment: str,
) -> str:
    """The evidence of a service behind something that changes its answers."""
    clock, provider = Clock(), spoken.partition(",")[0]
    with service_of(folder, spoken, clock) as service, serving(app(service)) as url:
        manifest(folder, service_fields(provider, url, PROJECT, COMPARTMENT))
        environment |= {"VSSYNC_ALLOW_HOSTS": "127.0.0.1", "VSSYNC_API_KEY": KEY}
        settings = Settings(manifest=str(folder), environment=environment)
        diagnosis, word = Diagnosis(), new_word() if probe else ""
        loaded = load_manifest(settings, hashed=False)
        examine(settings, loaded, lambda _finding: None, diagnosis, word=word, clock=clock)
    jsonschema.Draft7Validator(SCHEMA).validate(json.loads(diagnosis.evidence))
    return diagnosis.evidence


def unchanged(app: WSGIApplication) -> WSGIApplication:
    return app


def masked(evidence: str) -> dict[str, Any]:
    """Without what may differ from run to run."""
    found: dict[str, Any] = json.loads(evidence)
    return {**found, "date": "", "seconds": sorted(found["seconds"])}


@pytest.mark.wide(3)
@pytest.mark.parametrize("spoken", ["local", "openai", "oci", "compatible,stale-filters=off,shares-chunks=off"])
def test_evidence_is_whole_and_short_enough_for_an_issue(tmp_path: Path, spoken: str) -> None:
    first, second = (gathered(tmp_path / name, unchanged, spoken) for name in ("a", "b"))
    assert masked(first) == masked(second)
    assert len(first) < 60_000  # GitHub: 65,536 characters
    found = json.loads(first)
    assert (found["complete"], found["service"]["provider"]) == (True, spoken.partition(",")[0])
    assert found["capabilities"]["attributes"]
    assert {"store_served", "file_completed", "file_gone", "file_unlisted", "ingested .md"} <= found["seconds"].keys()
    assert {"second_page", "reattaches", "cancel", "kinds", "keeps_expiry", "garbles_names"} <= found["facts"].keys()
    texts = [text for part in ("answers", "headers", "facts") for text in words_of(found[part])]
    assert [text for text in texts if "(unlisted)" in text] == []


@pytest.mark.parametrize(("region", "shown"), [("eu-frankfurt-1", "eu-frankfurt-1"), ("acmecorp-dc-1", "")])
def test_without_probes_no_dialect_is_named_and_no_region_that_is_only_known_here(
    tmp_path: Path, region: str, shown: str
) -> None:
    known_here = {"regionIdentifier": "acmecorp-dc-1", "realmDomainComponent": "acmecorp.example"}
    metadata = json.dumps(known_here)
    evidence = gathered(tmp_path, unchanged, "oci", probe=False, OCI_REGION=region, OCI_REGION_METADATA=metadata)
    assert (json.loads(evidence)["service"]["region"], json.loads(evidence)["dialect"]) == (shown, None)
    assert "acmecorp" not in evidence


def words_of(value: object) -> Iterable[str]:
    """All texts and names of a JSON value."""
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for entry in value:
            yield from words_of(entry)
    elif isinstance(value, str):
        yield value


Change = Callable[[str, object, str], object]  # a field's name and value, and a secret to put there


def planting(change: Change) -> Callable[[WSGIApplication], WSGIApplication]:
    """Puts secrets into headers, into new fields under their own names, and where `change` wants them."""

    def plant(value: object, name: str, count: list[int]) -> object:
        count[0] += 1
        secret = SECRETS[count[0] % len(SECRETS)]
        if isinstance(value, dict):
            planted = {key: plant(entry, key, count) for key, entry in value.items()}
            return {**planted, secret: {secret: [secret, {"name": secret}]}}
        if isinstance(value, list):
            return [plant(entry, name, count) for entry in value]
        return change(name, value, secret) if isinstance(value, str) else value

    def wrap(app: WSGIApplication) -> WSGIApplication:
        count = [0]

        def planted_app(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            head: list[Any] = []

            def start(*told: Any) -> Callable[[bytes], object]:
                head.extend(told)
                return len

            body = b"".join(app(environ, start))
            if body[:1] in b"{[" and body:
                body = json.dumps(plant(json.loads(body), "", count)).encode()
            kept = [(name, value) for name, value in head[1] if name.lower() != "content-length"]
            planted = [
                ("x-acmecorp-tenant", KEY),
                ("server", "vectors.acmecorp.example"),
                ("retry-after", "0; acmecorp"),
            ]
            start_response(head[0], [*kept, *planted, ("content-language", COMPARTMENT)])
            return [body]

        return planted_app

    return wrap


NEEDED = {"id", "file_id", "vector_store_id", "first_id", "last_id", "created_at"}
TEXTS = {"name", "filename", "description", "message", "text", "detail", "msg", "title", "made_by", "accent", "tried"}


def free_texts(name: str, value: object, secret: str) -> object:
    return secret if name in TEXTS else value


def protocol_words(name: str, value: object, secret: str) -> object:
    return secret if name in {"object", "code", "type", "param", "purpose", "anchor", "next_page", "long"} else value


def all_texts(name: str, value: object, secret: str) -> object:
    return value if name in NEEDED else secret


SECRET_IDS = "local,store-ids=ocid1.vectorstore.oc1..plantedstore,file-ids=ocid1.acmecorp.,batch-ids=vectors.acmecorp."


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    ("change", "spoken"),
    [
        (free_texts, SECRET_IDS),
        (protocol_words, SECRET_IDS),
        (all_texts, SECRET_IDS),
        (all_texts, "oci"),
        (free_texts, "compatible,errors=detail,stale-filters=off,shares-chunks=off"),
    ],
)
def test_nothing_that_is_planted_comes_out(tmp_path: Path, change: Change, spoken: str) -> None:
    evidence = gathered(tmp_path, planting(change), spoken).lower()
    assert "(unlisted)" in evidence  # what was planted was there
    assert [piece for piece in PIECES if piece in evidence] == []


@pytest.mark.parametrize(
    "body",
    [f"<html><title>{SECRETS[7]}</title>{SECRETS[4]}</html>", f"no: {KEY} {COMPARTMENT}", f'{{"{KEY}": "{KEY}"}}'],
)
@pytest.mark.parametrize("status", ["401 Unauthorized", "200 OK", "404 Not Found"])
def test_a_page_of_another_server_says_nothing_either(tmp_path: Path, body: str, status: str) -> None:
    def answer(_app: WSGIApplication) -> WSGIApplication:
        def page(_environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
            start_response(status, [("content-type", "text/html"), ("www-authenticate", f'Bearer realm="{KEY}"')])
            return [body.encode()]

        return page

    evidence = gathered(tmp_path, answer, "compatible", probe=False).lower()
    assert str(int(status[:3])) in evidence
    assert [piece for piece in PIECES if piece in evidence] == []


def test_an_interrupted_run_leaves_evidence_of_what_it_saw(tmp_path: Path) -> None:
    def stop_at(finding: Finding) -> None:
        if finding.topic == "chunking":
            raise KeyboardInterrupt

    diagnosis = Diagnosis()
    with service_of(tmp_path, "local") as service, serving(service) as url:
        manifest(tmp_path, f"{{provider: compatible, data_url: '{url}'}}")
        settings = Settings(manifest=str(tmp_path))
        with pytest.raises(KeyboardInterrupt):
            examine(settings, load_manifest(settings), stop_at, diagnosis, word=new_word(), clock=Clock())
        with open_session(settings, load_manifest(settings)) as session:
            assert session.client.list_stores() == ()
    found = json.loads(diagnosis.evidence)
    assert (found["complete"], found["facts"]["batch_files"], "kinds" in found["facts"]) == (False, True, False)
    assert diagnosis.findings[-1].topic == "clean up"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("in_progress", "in_progress"),
        ("queued", "queued"),
        ("vector_store.file", "vector_store.file"),
        ("application/json; charset=utf-8", "application/json; charset=utf-8"),
        ("opcRequestId", "opcRequestId"),
        ("x-ratelimit-remaining-requests", "x-ratelimit-remaining-requests"),
        ("acmecorp_status", "(unlisted)"),
        ("a1b2c8d0e1", "(unlisted)"),
        ("x1x2x8x0", "(unlisted)"),
        ("sk-1280", "(unlisted)"),
        ("ＶＥＣＴＯＲ", "(unlisted)"),
        ("file\nname", "(unlisted)"),
        ("file " * 20, "(unlisted)"),
        ("", "(unlisted)"),
    ],
)
def test_a_word_is_shown_if_it_is_a_term(text: str, shown: str) -> None:
    assert plain(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Unsupported file type 'xlsx' found for file-kix-4711.", "unsupported file type * found for *"),
        ("Alice Miller may not read the vector store Layoffs 2026!", "* may not read the vector store *"),
        ("", ""),
    ],
)
def test_a_sentence_keeps_its_terms(text: str, shown: str) -> None:
    assert sentence(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("vs_ord_0a1b2c", "vs_ord_..."),
        ("file-4f9a", "file-..."),
        ("01234567-89ab-cdef-0123-456789abcdef", "UUID"),
        ("ocid1.vectorstore.oc1..aaaa", "(unlisted)"),
        ("vs_acmecorp_layoffs", "(unlisted)"),
    ],
)
def test_an_id_is_shown_by_its_beginning(text: str, shown: str) -> None:
    assert id_form(text) == shown


def test_a_body_is_shown_by_its_types() -> None:
    body: Mapping[str, object] = {
        "object": "list",
        "data": [{"id": "vs_1a", "name": "Layoffs", "metadata": {"layoffs": "x"}, "status": "queued", "size": 1.0}],
        "has_more": False,
        "error": {"message": '{"code": "404", "message": "Alice"}', "param": None},
    }
    assert dict(shape(body)) == {
        "object": "list",
        "data[].id": "vs_...",
        "data[].name": "string",
        "data[].metadata.(unlisted)": "string",
        "data[].status": "queued",
        "data[].size": "number",
        "has_more": "false",
        "error.message": "string",
        "error.message(JSON).code": "404",
        "error.message(JSON).message": "string",
        "error.param": "null",
    }
