"""What OCI's management API tells, asked through the `oci` package over a loopback stand-in of that API."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.api.loopback import Got, Loopback, Sent, listening, said
from tests.auth.builders import section, write_home
from tests.doctor.builders import COMPARTMENT, PROJECT
from tests.support import Clock
from vssync.commands.doctor.examine import Diagnosis, examine
from vssync.commands.doctor.finding import Finding, FindingKind
from vssync.commands.session import Settings, load_manifest

pytestmark = pytest.mark.oci
STORE = {"id": "vs_1", "name": "docs", "created_at": 1, "status": "completed"}
FINE: dict[str, Any] = {
    f"/generativeAiProjects/{PROJECT}": {"displayName": "kb", "lifecycleState": "ACTIVE", "compartmentId": COMPARTMENT},
    "/apikeys": {"items": []},
    "/vectorStoreConnectors": {"items": []},
    "/openai/v1/vector_stores": {"data": [STORE], "has_more": False},
}


def api(answers: dict[str, Any]) -> Callable[[Got], Sent]:
    """The management API and both addresses of the service."""

    def answer(got: Got) -> Sent:
        path = urlsplit(got.target).path.removeprefix("/20231130")
        found = answers.get(path, {"data": [], "has_more": False})
        return found if isinstance(found, Sent) else said(**found)

    return answer


def examined(folder: Path, answers: dict[str, Any]) -> tuple[dict[str, Finding], Loopback]:
    with listening(api(answers)) as place:
        base = place.url.removesuffix("/v1")
        (folder / "a.md").write_text("hello\n")
        (folder / "vssync.yaml").write_text(
            f"version: 1\nowner: shelf\nservice: {{provider: oci, region: us-chicago-1, project: {PROJECT}, "
            f"compartment: {COMPARTMENT}, data_url: '{base}/openai/v1', control_url: '{base}/20231130/openai/v1'}}\n"
            "stores: {docs: {files: [{path: '*.md'}]}}\n"
        )
        settings = Settings(manifest=str(folder), environment=write_home(folder / "home", {"DEFAULT": section()}))
        findings: list[Finding] = []
        examine(settings, load_manifest(settings, hashed=False), findings.append, Diagnosis(), clock=Clock())
    return {finding.topic: finding for finding in findings}, place


def test_all_is_well_and_every_request_is_signed(tmp_path: Path) -> None:
    findings, place = examined(tmp_path, FINE)
    topics = ("project state", "API keys", "connectors", "credential", "project", "list stores", "list files")
    assert {topic: str(findings[topic].kind) for topic in topics} == dict.fromkeys(topics, "ok")
    assert findings["identity"].text.startswith("signing key of profile DEFAULT")
    assert all(got.headers["authorization"].startswith("Signature ") for got in place.got)
    asked = [urlsplit(got.target).path for got in place.got]
    assert {f"/20231130{path}" for path in FINE} <= set(asked)
    assert "PRIVATE KEY" not in " ".join(finding.text for finding in findings.values())


KEY = {"keyName": "ci", "state": "ACTIVE"}
CONNECTOR = {"displayName": "mirror", "vectorStoreId": "vs_1", "lifecycleState": "ACTIVE"}


@pytest.mark.parametrize(
    ("path", "answer", "topic", "kind", "words"),
    [
        (f"/generativeAiProjects/{PROJECT}", {"lifecycleState": "DELETED"}, "project state", "failed", "DELETED"),
        (
            f"/generativeAiProjects/{PROJECT}",
            {"lifecycleState": "ACTIVE", "compartmentId": "ocid1.compartment.oc1..cccc"},
            "project state",
            "warning",
            "another compartment",
        ),
        (
            f"/generativeAiProjects/{PROJECT}",
            said(404, code="NotAuthorizedOrNotFound", message="no"),
            "project state",
            "warning",
            "404 NotAuthorizedOrNotFound",
        ),
        (
            "/apikeys",
            {"items": [{"keys": [KEY | {"timeExpiry": "2020-01-01T00:00:00Z"}]}]},
            "API keys",
            "warning",
            "ci",
        ),
        ("/apikeys", {"items": [{"keys": [KEY | {"timeExpiry": "2999-01-01T00:00:00Z"}]}]}, "API keys", "ok", "1 in"),
        ("/vectorStoreConnectors", {"items": [CONNECTOR | {"vectorStoreId": "vs_9"}]}, "connectors", "ok", "none"),
        ("/vectorStoreConnectors", Sent(200, "<html>"), "connectors", "warning", "cannot be read"),
    ],
)
def test_what_the_management_api_tells(
    tmp_path: Path, *, path: str, answer: Any, topic: str, kind: str, words: str
) -> None:
    findings, _ = examined(tmp_path, {**FINE, path: answer})
    assert (str(findings[topic].kind), words in findings[topic].text) == (kind, True), findings[topic]


def test_a_connector_that_feeds_a_store_of_ours_is_the_likeliest_accident(tmp_path: Path) -> None:
    owned = {**STORE, "metadata": {"vssync_owner": "v1;shelf;docs;0123456789abcdef"}}
    stores = {"data": [owned], "has_more": False}
    answers = {**FINE, "/openai/v1/vector_stores": stores, "/vectorStoreConnectors": {"items": [CONNECTOR]}}
    findings, _ = examined(tmp_path, answers)
    assert findings["connectors"].kind is FindingKind.WARNING
    assert "mirror mirrors a bucket into docs (vs_1)" in findings["connectors"].text
