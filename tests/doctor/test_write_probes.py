"""Write probes find what a service is capable of, say what to commit, and leave nothing behind, however they end."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.doctor.builders import USUAL, client_for, left_of, service_of, tried
from tests.support import Clock
from vssync.commands.doctor.facts import capabilities_of, capabilities_snippet
from vssync.commands.doctor.finding import Finding, FindingKind
from vssync.commands.doctor.scratch import ScratchStore, Trial, clean_up
from vssync.commands.doctor.write_probes import FILES, REQUESTS, run_write_probes
from vssync.errors import AccessDenied, UsageProblem
from vssync.local.app import Service
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport
from vssync.model.service import ServiceSpec


def probed(service: Service, provider: str) -> tuple[dict[str, bool], list[Finding]]:
    """The capabilities that the write probes saw, and their findings. Nothing is left behind."""
    client = client_for(service, provider)
    facts, findings, is_clean = tried(client)
    assert is_clean
    assert left_of(client) == []
    return capabilities_of(facts), findings


LIKE_OGX = {
    "list_batches": False,
    "batch_files": False,
    "shares_chunks": True,
    "updates_reach_search": False,
}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "spoken", "differing"),
    [
        ("local", "local", {}),
        ("openai", "openai", {"list_batches": False}),
        ("oci", "oci", {"list_batches": False}),
        ("oci", "oci,lists-batches=on", {}),
        ("compatible", "compatible", LIKE_OGX),
        ("compatible", "compatible,ignores-files=off,takes-files=off", LIKE_OGX),
        ("compatible", "compatible,own-hit-ids=off,resets-after-errors=off", LIKE_OGX),
        ("compatible", "local,own-hit-ids=on,shares-chunks=on", {"shares_chunks": True}),
        ("compatible", "local,has-batches=off", {"list_batches": False, "batch_files": False, "batches": False}),
        ("compatible", "local,takes-files=off", {"batch_files": False}),
        ("compatible", "local,unreadable-batches=404", {"batches": False, "list_batches": False}),
    ],
)
def test_write_probes_find_what_the_service_is_capable_of(
    tmp_path: Path, provider: str, spoken: str, differing: dict[str, bool]
) -> None:
    with service_of(tmp_path, spoken) as service:
        found, findings = probed(service, provider)
    assert found == {**USUAL, **differing}
    assert [finding.text for finding in findings if finding.kind is FindingKind.FAILED] == []


def test_a_run_takes_what_was_announced(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "local")
        _, findings, _ = tried(client)
    assert findings[-1].text == f"removed: {FILES + 1} objects; nothing is left"
    assert abs(client.sender.request_count - REQUESTS) <= 10


@pytest.mark.parametrize(
    ("provider", "spoken", "texts"),
    [
        (
            "compatible",
            "local",
            {
                "attributes": "as they were sent",
                "update file": "change in place",
                "list files": "attributes are listed",
                "search": "changed in place",
                "kinds": "completed: .md .html .json .py; failed unsupported_file: .pdf .docx; refused",
                "detach": "gone at once",
            },
        ),
        ("oci", "oci", {"names": "come back changed", "chunking": "not reported"}),
        (
            "compatible",
            "local,ignores-chunking=on,lists-attributes=off,cut-after=3,refuses=.md,stale-filters=on",
            {
                "chunking": "reported as 800/400",
                "list files": "leave attributes out",
                "batches": "refused as a whole, and names it",
                "paging": "a listing ends after 3",
                "search": "as they were attached",
            },
        ),
        (
            "compatible",
            "local,ignores-chunking=on,echoes=null,shares-chunks=on,late-deletions=9,late-files=9",
            {
                "chunk sizes": "larger pieces",
                "equal texts": "share",
                "detach": "not at once gone",
                "list files": "late or short",
            },
        ),
    ],
)
def test_what_is_odd_is_named(tmp_path: Path, provider: str, spoken: str, texts: dict[str, str]) -> None:
    clock = Clock()
    with service_of(tmp_path, spoken, clock) as service:
        _, findings, is_clean = tried(client_for(service, provider, clock=clock))
    assert is_clean
    for topic, text in texts.items():
        assert text in " ".join(finding.text for finding in findings if finding.topic == topic)


@pytest.mark.parametrize(
    ("spoken", "faults", "found", "kind", "text"),
    [
        ("local,takes-attributes=off", (), False, FindingKind.FAILED, "refused"),
        ("local,takes-attributes=off,has-batches=off", (), False, FindingKind.FAILED, "refused"),
        ("local", ("erased-mark,keys=*",), False, FindingKind.FAILED, "lost"),
        ("local", ("erased-mark,keys=*:POST:/**/file_batches",), True, FindingKind.WARNING, "sent again"),
    ],
)
def test_a_service_without_attributes_cannot_be_used(
    tmp_path: Path, *, spoken: str, faults: tuple[str, ...], found: bool, kind: FindingKind, text: str
) -> None:
    with service_of(tmp_path, spoken) as service:
        client = client_for(service, "compatible", LocalTransport(with_faults(service, faults)))
        facts, findings, is_clean = tried(client)
    finding = next(finding for finding in findings if finding.topic == "attributes")
    assert (facts["attributes"], finding.kind, is_clean) == (found, kind, True)
    assert text in finding.text
    assert ("attributes: false" in capabilities_snippet(capabilities_of(facts), {})) is not found


def test_changed_values_say_nothing_about_updates(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        transport = LocalTransport(with_faults(service, ["garbled-attributes"]))
        facts, _, _ = tried(client_for(service, "compatible", transport))
    assert facts["attribute_updates"]


def test_a_service_that_makes_no_stores_is_named(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        transport = LocalTransport(with_faults(service, ["status=405:POST:/vector_stores"]))
        facts, findings, is_clean = tried(client_for(service, "local", transport))
    assert (dict(facts), is_clean) == ({"store_creates": False}, True)
    assert [finding.topic for finding in findings if finding.kind is FindingKind.FAILED] == ["create store"]


def test_lost_metadata_is_named(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "compatible", LocalTransport(with_faults(service, ["lost-metadata"])))
        _, findings, _ = tried(client)
    finding = next(finding for finding in findings if finding.topic == "metadata")
    assert finding.kind is FindingKind.WARNING
    assert "external" in finding.way_out[0]


class Cut(httpx.BaseTransport):
    """Does something instead of the n-th request that fits."""

    def __init__(
        self,
        service: Service,
        fits: Callable[[httpx.Request], bool],
        at: int,
        act: Callable[[httpx.Request], httpx.Response],
    ):
        self.inner, self.fits, self.left, self.act = LocalTransport(service), fits, at, act

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.fits(request):
            self.left -= 1
            if self.left == 0:
                return self.act(request)
        return self.inner.handle_request(request)


def interrupt(_: httpx.Request) -> httpx.Response:
    raise KeyboardInterrupt


@pytest.mark.parametrize("at", range(2, 120, 13))
def test_ctrl_c_at_any_request_leaves_nothing(tmp_path: Path, at: int) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "local", Cut(service, lambda _: True, at, interrupt))
        findings: list[Finding] = []
        with pytest.raises(KeyboardInterrupt):
            run_write_probes(Trial(ScratchStore(client), findings.append))
        assert left_of(client) == []
        assert findings[-1].topic == "clean up"


def test_a_store_whose_reply_was_lost_is_found_by_its_name(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        inner = LocalTransport(service)

        def lose(request: httpx.Request) -> httpx.Response:
            inner.handle_request(request).read()
            raise httpx.ReadError("gone")

        client = client_for(service, "local", Cut(service, lambda r: r.method == "POST", 1, lose))
        facts, findings, is_clean = tried(client)
        assert (facts, is_clean, client.list_stores()) == ({}, True, ())
        assert [finding.topic for finding in findings] == ["write probes", "clean up"]


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("spoken", "faults", "left", "way_out"),
    [
        ("local", ("status=403:DELETE:/files/file-*:2",), 1, "and a credential that may delete."),
        ("local,refuses-deleting=all", (), FILES + 1, "and a credential that may delete."),
        ("oci,refuses-deleting=files", (), FILES, "and a credential that may delete."),
        ("local,denies-deletions=on", (), FILES + 1, "Remove them in the service's own console"),
        ("local", ("status=500:DELETE:/files/file-*:3+",), FILES - 2, "with the options of this run."),
    ],
)
def test_what_cannot_be_removed_is_a_line_each_and_says_once_what_to_do(
    tmp_path: Path, *, spoken: str, faults: tuple[str, ...], left: int, way_out: str
) -> None:
    provider = spoken.partition(",")[0]
    with service_of(tmp_path, spoken) as service:
        client = client_for(service, provider, LocalTransport(with_faults(service, faults)))
        _, findings, is_clean = tried(client)
        last = findings[-1]
        (word,) = re.findall(r"`vssync doctor --clean-up (\w+)`", last.way_out[-1])
        for _ in range(2):
            assert (is_clean, last.kind, last.topic) == (False, FindingKind.FAILED, "clean up")
            assert last.text == f"{left} object{'s' if left > 1 else ''} may be left:"
            ids, reasons = last.way_out[:left], last.way_out[left:-1]
            assert {*ids} == {*left_of(client)}
            assert (len(reasons), way_out in last.way_out[-1]) == (1, True)
            assert not any("`vssync doctor`" in reason for reason in reasons)  # it is running
            if left == 1:  # was refused once
                break
            is_clean, last = clean_up(client, word, findings.append), findings[-1]


def test_clean_up_goes_on_where_a_run_was_refused(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        transport = LocalTransport(with_faults(service, ["status=403:DELETE:/files/file-*:2"]))
        client = client_for(service, "local", transport)
        scratch, findings = ScratchStore(client), list[Finding]()
        assert not run_write_probes(Trial(scratch, findings.append))
        assert clean_up(client, scratch.word, findings.append)
        assert (findings[-1].text, left_of(client)) == ("removed: 1 object; nothing is left", [])
        assert clean_up(client, scratch.word, findings.append)
        assert findings[-1].text == f"nothing is named {scratch.word}"


def test_clean_up_removes_what_it_may_where_no_stores_can_be_listed(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        scratch = ScratchStore(client_for(service, "local"))
        scratch.create_store()
        scratch.upload("was left.")
    findings: list[Finding] = []
    with service_of(tmp_path, "local,stores-iam-only=401") as service:
        client = client_for(service, "local")
        assert not clean_up(client, scratch.word, findings.append)
        assert tuple(client.list_uploads()) == ()
        assert findings[-1].text == "1 object may be left:"
        assert findings[-1].way_out[0] == f"store {scratch.word}"
        with pytest.raises(AccessDenied):
            clean_up(client, scratch.word, findings.append)


def test_clean_up_removes_a_killed_run_and_nothing_else(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "local")
        mine, other = ScratchStore(client), ScratchStore(client)
        for scratch in (mine, other):
            scratch.create_store()
            scratch.upload("was left.")
        findings: list[Finding] = []
        assert clean_up(client, mine.word, findings.append)
        assert [store.name for store in client.list_stores()] == [other.word]
        assert [upload.filename for upload in client.list_uploads()] == [f"{other.word}-1.txt"]
        with pytest.raises(UsageProblem, match="must be the word"):
            clean_up(client, "v", findings.append)


@pytest.mark.parametrize(
    ("seen", "declared", "shown"),
    [
        (USUAL, {}, "Capabilities: as the manifest says."),
        ({**USUAL, "list_batches": False}, {}, "  capabilities:\n    list_batches: false"),
        ({**USUAL, "list_batches": False}, {"list_batches": False}, "as the manifest says"),
        (
            {**USUAL, "shares_chunks": True},
            {"list_batches": False},
            "otherwise about list_batches. Under `service`:\n\n  capabilities:\n    shares_chunks: true",
        ),
        (USUAL, {"list_batches": False}, "otherwise about list_batches. Remove that from `service.capabilities`."),
        (
            {name: has for name, has in USUAL.items() if name not in ("updates_reach_search", "batches")},
            {},
            "    batches: false  # not known: this is the safe side\n"
            "    updates_reach_search: false  # not known: this is the safe side",
        ),
        ({"attributes": True}, dict.fromkeys(USUAL, 1) | {"shares_chunks": 0}, "as the manifest says"),
        ({"store_creates": False}, {}, "  capabilities:\n    store_creates: false"),
    ],
)
def test_the_snippet_says_what_to_commit(seen: dict[str, bool], declared: dict[str, bool], shown: str) -> None:
    assert shown in capabilities_snippet(seen, declared)


def test_what_is_usual_for_a_provider_is_not_worth_a_line() -> None:
    usual = ServiceSpec("compatible").declared_capabilities
    seen = {**USUAL, "shares_chunks": True}
    assert capabilities_snippet(seen, {}, usual).endswith("capabilities:\n    updates_reach_search: true")
    assert "shares_chunks: false" in capabilities_snippet(USUAL, {}, usual)


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("fault", "topic", "unknown"),
    [
        ("status=409:GET:/vector_stores/*/file_batches", "list batches", {"list_batches"}),
        ("status=500:POST:/vector_stores/*/file_batches", "batches", {"batches", "batch_files"}),
        ("lost-reply:POST:/vector_stores/*/file_batches", "batches", {"batches", "batch_files"}),
        ("status=500:POST:/vector_stores/*/files/*", "update file", {"attribute_updates", "updates_reach_search"}),
        ("status=500:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
        ("status=500:POST:/vector_stores/*/search", "equal texts", {"updates_reach_search", "shares_chunks"}),
        ("status=422:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
        ("reset-before:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
        ("not-json:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
    ],
)
def test_one_odd_answer_ends_one_probe(tmp_path: Path, fault: str, topic: str, unknown: set[str]) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "compatible", LocalTransport(with_faults(service, [fault])))
        facts, findings, is_clean = tried(client)
    assert (set(capabilities_of(facts)), is_clean) == (USUAL.keys() - unknown, True)
    assert next(finding.kind for finding in findings if finding.topic == topic) is FindingKind.FAILED


class Bent(httpx.BaseTransport):
    """Answers some requests with another JSON value, though it does what they ask."""

    def __init__(self, service: Service, request: str, value: object) -> None:
        self.inner, self.pattern, self.value = LocalTransport(service), re.compile(request), value

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        response = self.inner.handle_request(request)
        response.read()
        is_bent = response.is_success and self.pattern.fullmatch(f"{request.method} {request.url.path}")
        return httpx.Response(200, json=self.value) if is_bent else response


@pytest.mark.wide(4)
@pytest.mark.parametrize(
    "value", [None, [], {}, {"data": None}, {"data": [{}]}, {"data": [{"id": 1, "attributes": []}]}]
)
@pytest.mark.parametrize(
    "request_",
    [
        "GET /v1/vector_stores/[^/]+/files",
        "(GET|POST) /v1/vector_stores/[^/]+/files/[^/]+",
        "POST /v1/vector_stores/[^/]+/(search|files)",
        "(GET|POST) /v1/vector_stores/[^/]+/file_batches.*",
        "(GET /v1/vector_stores|POST /v1/vector_stores/[^/]+)",
    ],
)
def test_no_value_of_another_form_ends_the_trial(tmp_path: Path, request_: str, value: object) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "compatible", Bent(service, request_, value))
        facts, findings, is_clean = tried(client)
        left = client_for(service, "compatible")
        assert (is_clean, left_of(left)) == (True, [])
    assert "write probes" not in {finding.topic for finding in findings}
    assert facts["store_creates"]


def test_batches_that_answer_5xx_are_not_used(tmp_path: Path) -> None:
    """The files of a batch that cannot be read tell whether it works."""
    faults = ["status=500:GET:/vector_stores/*/file_batches", "status=500:GET:/vector_stores/*/file_batches/*"]
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "compatible", LocalTransport(with_faults(service, faults)))
        facts, _, _ = tried(client)
    shown = capabilities_snippet(capabilities_of(facts), {})
    assert "    batches: false\n    list_batches: false" in shown
