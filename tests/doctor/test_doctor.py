"""What the whole examination says of each kind of service, and of what is wrong with one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import httpx
import pytest

from tests.doctor.builders import COMPARTMENT, KEY, PROJECT, USUAL, manifest, service_fields, service_of
from tests.support import Clock, client_of
from vssync.api.connect import connect
from vssync.commands.doctor.examine import Diagnosis, diagnosis_json, examine
from vssync.commands.doctor.facts import dialect_of
from vssync.commands.doctor.finding import Finding, FindingKind, failed, finding_text, ok, warning
from vssync.commands.doctor.read_probes import run_read_probes
from vssync.commands.doctor.scratch import new_word
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.endpoints import region_of
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.server import serving


def examined(folder: Path, *, probe: bool = False, **environment: str) -> tuple[Diagnosis, dict[str, Finding]]:
    settings = Settings(manifest=str(folder), environment={"VSSYNC_ALLOW_HOSTS": "127.0.0.1", **environment})
    emitted: list[Finding] = []
    loaded = load_manifest(settings, hashed=False)
    diagnosis = Diagnosis()
    examine(settings, loaded, emitted.append, diagnosis, word=new_word() if probe else "", clock=Clock())
    assert (diagnosis.findings, diagnosis.complete) == (emitted, True)
    assert KEY not in "\n".join(finding_text(finding, 80) for finding in emitted) + diagnosis.evidence
    return diagnosis, {finding.topic: finding for finding in emitted}


def kinds(findings: dict[str, Finding]) -> dict[str, str]:
    return {topic: str(finding.kind) for topic, finding in findings.items() if finding.kind is not FindingKind.OK}


def test_the_embedded_service_is_well(tmp_path: Path) -> None:
    manifest(tmp_path, "{provider: local}")
    diagnosis, findings = examined(tmp_path, probe=True)
    assert (diagnosis.capabilities, diagnosis.left, kinds(findings)) == (USUAL, False, {})


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "warned"),
    [(name, {"list batches": "warning"}) for name in ("openai", "azure", "compatible", "oci")],
)
def test_each_provider_over_a_port(tmp_path: Path, provider: str, warned: dict[str, str]) -> None:
    with service_of(tmp_path, provider) as service, serving(service) as url:
        manifest(tmp_path, service_fields(provider, url))
        make_store(tmp_path)
        diagnosis, findings = examined(tmp_path, probe=True, VSSYNC_API_KEY=KEY)
    assert diagnosis.capabilities is not None
    assert {topic: kind for topic, kind in kinds(findings).items() if topic in ("connection", "list batches")} == warned
    assert findings["identity"].text == "bearer key from VSSYNC_API_KEY"
    assert findings["credential"].text == "accepted"
    assert findings["project"].kind is FindingKind.OK
    assert findings["clock"].kind is FindingKind.OK
    assert "127.0.0.1" in findings["connection"].text


def test_addresses_in_each_others_place_are_named(tmp_path: Path) -> None:
    with service_of(tmp_path, "oci") as service, serving(service) as url:
        base = url.removesuffix("/v1")
        data, control = f"{base}/openai/v1", f"{base}/20231130/openai/v1"
        place = f"data_url: '{control}', control_url: '{data}', region: us-chicago-1"
        manifest(tmp_path, f"{{provider: oci, {place}, project: '{PROJECT}', compartment: '{COMPARTMENT}'}}")
        _, findings = examined(tmp_path, VSSYNC_API_KEY=KEY)
    assert findings["project"].way_out == (f"The store address lists files: set `data_url: {data}`.",)
    assert findings["list stores"].way_out == (f"The data address lists stores: set `control_url: {control}`.",)


def make_store(folder: Path) -> None:
    settings = Settings(manifest=str(folder), environment={"VSSYNC_API_KEY": KEY, "VSSYNC_ALLOW_HOSTS": "127.0.0.1"})
    with open_session(settings, load_manifest(settings, hashed=False), clock=Clock()) as session:
        session.client.create_store({"name": "docs"})


def test_a_wrong_key_is_one_failure_with_a_way_out(tmp_path: Path) -> None:
    live = open_service(tmp_path / "live", options=LocalOptions(api_key="right", dialect=parse_dialect("openai")))
    with live as service, serving(service) as url:
        manifest(tmp_path, f"{{provider: openai, data_url: '{url}'}}")
        diagnosis, findings = examined(tmp_path, probe=True, VSSYNC_API_KEY=KEY)
    assert kinds(findings) == {"credential": "failed"}
    assert diagnosis.capabilities is None


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_service_whose_stores_need_another_credential_is_a_switch(tmp_path: Path, status: int) -> None:
    with service_of(tmp_path, f"compatible,stores-iam-only={status}") as service, serving(service) as url:
        manifest(tmp_path, f"{{provider: compatible, data_url: '{url}'}}")
        diagnosis, findings = examined(tmp_path, probe=True, VSSYNC_API_KEY=KEY)
    assert diagnosis.facts == {"stores_iam_only": status}
    assert dialect_of(diagnosis.facts, "compatible").endswith(f",stores-iam-only={status}")
    assert "failed" in kinds(findings).values()


def test_a_connector_that_feeds_a_store_is_a_warning(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if "/files/" in request.url.path:
            return httpx.Response(404, json={"error": {"code": "404", "message": "File is a connector file"}})
        if request.url.path.endswith("/vs_1/files"):
            rows = [{"id": "file-1", "status": "completed", "created_at": 1}]
            return httpx.Response(200, json={"data": rows, "has_more": False})
        return hidden(request) if "file_batches" not in request.url.path else httpx.Response(405)

    finding = oci(tmp_path, answer)["connectors"]
    assert (finding.kind, "docs (vs_1)" in finding.text) == (FindingKind.WARNING, True)


@pytest.mark.parametrize(
    ("service", "environment", "topic", "text"),
    [
        ("{provider: compatible}", {}, "service", "data_url"),
        ("{provider: compatible, data_url: 'https://elsewhere.example/v1'}", {}, "service", "--allow-host"),
        ("{provider: openai}", {}, "credential", "OPENAI_API_KEY"),
        (
            "{provider: openai, data_url: 'http://127.0.0.1:1/v1'}",
            {"VSSYNC_API_KEY": KEY},
            "connection",
            "cannot be reached",
        ),
    ],
)
def test_what_cannot_begin_says_why(
    tmp_path: Path, service: str, environment: dict[str, str], topic: str, text: str
) -> None:
    manifest(tmp_path, service)
    _, findings = examined(tmp_path, probe=True, **environment)
    assert kinds(findings) == {topic: "failed"}
    assert text in findings[topic].text


NOW = 1785542400.0


def oci(
    folder: Path,
    answer: Callable[[httpx.Request], httpx.Response],
    clock: Clock | None = None,
) -> dict[str, Finding]:
    """What the reading probes say of an OCI whose service is a function."""
    clock = clock or Clock(NOW)
    manifest(folder, f"{{provider: oci, region: us-chicago-1, project: '{PROJECT}', compartment: '{COMPARTMENT}'}}")
    settings = Settings(manifest=str(folder), environment={"VSSYNC_API_KEY": KEY})
    loaded = load_manifest(settings, hashed=False)
    findings: list[Finding] = []
    with open_session(settings, loaded, clock=Clock()) as session:
        run_read_probes(replace(session, client=client_of(answer, clock)), findings.append, clock.monotonic)
    return {finding.topic: finding for finding in findings}


STORE = {"id": "vs_1", "name": "docs", "created_at": 1, "status": "completed"}
DATE = {"date": "Sat, 01 Aug 2026 00:00:00 GMT"}


def hidden(request: httpx.Request) -> httpx.Response:
    """Lists a store, and answers 404 for everything in it."""
    if "/vector_stores/" in request.url.path:
        return httpx.Response(404, headers=DATE, json={"code": "404", "message": "Authorization failed or not found."})
    rows = [STORE] if request.url.path.endswith("/vector_stores") else []
    return httpx.Response(200, headers=DATE, json={"data": rows, "has_more": False})


def test_a_listed_store_that_answers_404_is_a_permission(tmp_path: Path) -> None:
    findings = oci(tmp_path, hidden)
    assert findings["list files"].kind is FindingKind.FAILED
    assert any(
        line.startswith("Allow any-user to manage generative-ai-family") for line in findings["list files"].way_out
    )
    assert f"in compartment id {COMPARTMENT} where ALL" in "\n".join(findings["list files"].way_out)


def test_a_new_store_that_answers_404_is_only_new(tmp_path: Path) -> None:
    def new(request: httpx.Request) -> httpx.Response:
        answer = hidden(request)
        rows = [{**STORE, "created_at": 1785542390}] if answer.json().get("data") else []
        return httpx.Response(200, headers=DATE, json={"data": rows}) if answer.status_code == 200 else answer

    assert oci(tmp_path, new)["list files"].kind is FindingKind.WARNING


@pytest.mark.parametrize(
    ("status", "message", "topic"),
    [
        (401, "The required information to complete authentication was not provided.", "credential"),
        (400, "Invalid OpenAI project", "project"),
    ],
)
def test_a_refusal_of_the_data_address(tmp_path: Path, status: int, message: str, topic: str) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, headers=DATE, json={"code": str(status), "message": message})

    findings = oci(tmp_path, refuse)
    assert [topic for topic, found in findings.items() if found.kind is FindingKind.FAILED] == [topic]
    assert message in findings[topic].text
    assert findings[topic].way_out == ()  # no policy is missing


@pytest.mark.parametrize(
    ("ocid", "region"),
    [(PROJECT, "us-chicago-1"), ("ocid1.x.oc1.ord.aaaa", ""), ("ocid1.x.oc1..aaaa", ""), ("proj_1", "")],
)
def test_the_region_of_an_ocid(ocid: str, region: str) -> None:
    assert region_of(ocid) == region


@pytest.mark.parametrize(
    ("off", "kind"),
    [(0, FindingKind.OK), (-59, FindingKind.OK), (200, FindingKind.WARNING), (-4000, FindingKind.WARNING)],
)
def test_the_clock_is_compared(tmp_path: Path, off: int, kind: FindingKind) -> None:
    def shifted(request: httpx.Request) -> httpx.Response:
        answer = hidden(request)
        answer.headers["date"] = formatdate(NOW + off, usegmt=True)
        return answer

    assert oci(tmp_path, shifted)["clock"].kind is kind


@pytest.mark.parametrize("patient", ["/vector_stores", "/files"])
def test_time_spent_on_retries_is_no_fault_of_the_clock(tmp_path: Path, patient: str) -> None:
    clock, asked = Clock(NOW), set[str]()

    def throttled(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.endswith(patient) and path not in asked:
            asked.add(path)
            return httpx.Response(429, headers={"retry-after": "400"})
        answer = hidden(request)
        answer.headers["date"] = formatdate(clock.now, usegmt=True)
        return answer

    assert oci(tmp_path, throttled, clock=clock)["clock"].kind is FindingKind.OK


def test_the_other_address_is_offered_when_it_lists_stores(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.startswith("/v1"):
            return hidden(request)
        return httpx.Response(404)

    manifest(
        tmp_path, "{provider: compatible, data_url: 'http://localhost:1/v1', control_url: 'http://localhost:1/v2'}"
    )
    settings = Settings(manifest=str(tmp_path))
    findings: list[Finding] = []
    with open_session(settings, load_manifest(settings), clock=Clock()) as session:
        client = connect(session.endpoint, auth=None, clock=Clock(), workers=1, transport=httpx.MockTransport(answer))
        assert run_read_probes(replace(session, client=client), findings.append, time.time) is None
    assert "control_url: http://localhost:1/v1" in " ".join(findings[-1].way_out)


@pytest.mark.parametrize(
    ("declared", "kind", "text"),
    [
        ("{id: vs_1, external: true}", FindingKind.OK, "of this manifest's 1, 1 can be used by their `id`"),
        ("{id: vs_1, external: true}, more: {}", FindingKind.WARNING, "of this manifest's 2, 1 can be used"),
        (
            "{}",
            FindingKind.FAILED,
            "this credential may not read stores, though it reads files: use another for stores",
        ),
    ],
)
def test_a_credential_for_files_alone_is_enough_for_pinned_stores(
    tmp_path: Path, declared: str, kind: FindingKind, text: str
) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/vector_stores"):
            return httpx.Response(401, json={"code": "NotAuthenticated", "message": "no"})
        return httpx.Response(200, json={"data": [], "has_more": False})

    service = f"{{provider: oci, region: us-chicago-1, project: '{PROJECT}', auth: bearer}}"
    (tmp_path / "vssync.yaml").write_text(
        f"version: 1\nowner: shelf\nservice: {service}\nstores: {{docs: {declared}}}\n"
    )
    settings = Settings(manifest=str(tmp_path), environment={"VSSYNC_API_KEY": KEY})
    findings: list[Finding] = []
    with open_session(settings, load_manifest(settings), clock=Clock()) as session:
        transport, credentials = httpx.MockTransport(answer), (session.credential, session.control_credential)
        client = connect(session.endpoint, auth=credentials, clock=Clock(), workers=1, transport=transport)
        run_read_probes(replace(session, client=client), findings.append, time.time)
    stores = next(finding for finding in findings if finding.topic == "list stores")
    assert (stores.kind, text in stores.text) == (kind, True)
    assert next(finding for finding in findings if finding.topic == "credential").text == "accepted"


def test_lines_to_copy_are_not_broken_and_nothing_steers_the_terminal() -> None:
    statement = "Allow group GROUP to manage generative-ai-family in compartment id " + "x" * 60
    shown = finding_text(failed("project", "\x1b[31mno " * 12, statement), 60)
    assert statement in shown
    assert "\x1b" not in shown
    assert all(len(line) <= 63 for line in shown.splitlines() if statement not in line)


def test_a_document_of_an_examination_that_was_cut_short_says_so(tmp_path: Path) -> None:
    manifest(tmp_path, "{provider: local}")
    loaded = load_manifest(Settings(manifest=str(tmp_path)), hashed=False)
    diagnosis = Diagnosis([failed("clean up", "left \x1b[31m##[error]", "upload f-1")])
    found = json.loads(diagnosis_json(loaded, diagnosis))
    assert (found["complete"], found["capabilities"]) == (False, None)
    (finding,) = found["findings"]
    assert (finding["check"], finding["status"], finding["way_out"]) == ("clean up", "failed", ["upload f-1"])
    assert "\x1b" not in finding["text"]


@pytest.mark.parametrize(
    ("finding", "word"), [(ok("a", "b"), "ok"), (warning("a", "b"), "warning"), (failed("a", "b"), "failed")]
)
def test_each_line_begins_with_its_verdict(finding: Finding, word: str) -> None:
    assert finding_text(finding, 80).split() == [word, "a", "b"]
