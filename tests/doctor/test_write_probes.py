"""Write probes find what a service is capable of, say what to commit, and leave nothing behind, however they end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.support import Clock
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.api.http import Call
from vssync.commands.doctor.finding import Finding, FindingKind
from vssync.commands.doctor.write_probes import capabilities_snippet, run_write_probes
from vssync.endpoints import Endpoint
from vssync.local.app import Service, open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport
from vssync.model.service import ServiceSpec
from vssync.providers import PROVIDERS, AuthKind

PROJECT, COMPARTMENT = "ocid1.generativeaiproject.oc1.us-chicago-1.aaaa", "ocid1.compartment.oc1..bbbb"
KEY = "sk-not-shown"


def service_of(tmp_path: Path, spoken: str, clock: Clock | None = None) -> Service:
    """The service on a clock of the test's; without one, on the real one, and a new store is ready at once."""
    dialect = parse_dialect(spoken)
    if clock:
        return open_service(tmp_path / "live", clock=clock.monotonic, options=LocalOptions(dialect=dialect))
    at_once = replace(dialect, creating_seconds=0, propagating_seconds=0)
    return open_service(tmp_path / "live", options=LocalOptions(dialect=at_once))


def client_for(service: Service, provider: str, transport: httpx.BaseTransport | None = None) -> Client:
    data, control = ("/openai/v1", "/20231130/openai/v1") if provider == "oci" else ("/v1", "/v1")
    headers = {"openai-project": PROJECT, "opc-compartment-id": COMPARTMENT, "authorization": f"Bearer {KEY}"}
    place = Endpoint(
        PROVIDERS[provider], f"http://local{data}", f"http://local{control}", headers, headers, AuthKind.NONE
    )
    return connect(place, auth=None, clock=Clock(), workers=1, transport=transport or LocalTransport(service))


def probed(service: Service, provider: str) -> tuple[dict[str, bool], dict[str, Finding]]:
    """The capabilities that the write probes saw, and their findings by topic. Nothing is left behind."""
    findings: list[Finding] = []
    client = client_for(service, provider)
    found, left = run_write_probes(client, findings.append)
    assert not left
    assert client.list_stores() == ()
    assert uploads(client) == 0
    return dict(found), {finding.topic: finding for finding in findings}


def uploads(client: Client) -> int:
    return len(client.sender.send(Call("GET", "/files")).body["data"])


USUAL = {
    "attributes": True,
    "list_batches": True,
    "batch_files": True,
    "batches": True,
    "attribute_updates": True,
    "store_updates": True,
    "shares_chunks": False,
    "updates_reach_search": True,
}
LIKE_OGX = {
    "list_batches": False,
    "batch_files": False,
    "shares_chunks": True,
    "updates_reach_search": False,
}


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
    ],
)
def test_write_probes_find_what_the_service_is_capable_of(
    tmp_path: Path, provider: str, spoken: str, differing: dict[str, bool]
) -> None:
    with service_of(tmp_path, spoken) as service:
        found, _ = probed(service, provider)
    assert found == {**USUAL, **differing}


@pytest.mark.parametrize(
    ("spoken", "topic", "text"),
    [
        ("local,echoes=null", "chunking", "not reported"),
        ("local,ignores-chunking=on", "chunking", "reported as 800/400"),
        ("compatible", "chunking", "reported as auto"),
        ("local", "attributes", "as they were sent"),
        ("local", "update file", "change in place"),
        ("local,shares-chunks=on", "equal texts", "share"),
        ("local", "list files", "attributes are listed"),
        ("local,lists-attributes=off", "list files", "leave attributes out"),
        ("local,stale-filters=on", "search", "as they were attached"),
        ("local", "search", "changed in place"),
    ],
)
def test_what_comes_back_changed_is_named(tmp_path: Path, spoken: str, topic: str, text: str) -> None:
    with service_of(tmp_path, spoken) as service:
        _, findings = probed(service, "compatible")
    assert text in findings[topic].text


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
        findings: list[Finding] = []
        client = client_for(service, "compatible", LocalTransport(with_faults(service, faults)))
        capabilities, left = run_write_probes(client, findings.append)
    finding = next(finding for finding in findings if finding.topic == "attributes")
    assert (capabilities["attributes"], finding.kind, left) == (found, kind, False)
    assert text in finding.text
    assert ("attributes: false" in capabilities_snippet(capabilities, {})) is not found


def test_changed_values_say_nothing_about_updates(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        transport = LocalTransport(with_faults(service, ["garbled-attributes"]))
        capabilities, _ = run_write_probes(client_for(service, "compatible", transport), lambda _finding: None)
    assert capabilities["attribute_updates"]


def test_a_service_that_makes_no_stores_is_named(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        transport = LocalTransport(with_faults(service, ["status=405:POST:/vector_stores"]))
        client = client_for(service, "local", transport)
        findings: list[Finding] = []
        found, left = run_write_probes(client, findings.append)
    assert (dict(found), left) == ({"store_creates": False}, False)
    assert [finding.topic for finding in findings if finding.kind is FindingKind.FAILED] == ["create store"]


def test_lost_metadata_is_named(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        findings: list[Finding] = []
        client = client_for(service, "compatible", LocalTransport(with_faults(service, ["lost-metadata"])))
        run_write_probes(client, findings.append)
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


@pytest.mark.parametrize("at", range(2, 27, 3))
def test_ctrl_c_at_any_request_leaves_nothing(tmp_path: Path, at: int) -> None:
    with service_of(tmp_path, "local") as service:
        client = client_for(service, "local", Cut(service, lambda _: True, at, interrupt))
        findings: list[Finding] = []
        with pytest.raises(KeyboardInterrupt):
            run_write_probes(client, findings.append)
        assert client.list_stores() == ()
        assert uploads(client) == 0
        assert findings[-1].topic == "clean up"


def test_a_store_whose_reply_was_lost_is_found_by_its_name(tmp_path: Path) -> None:
    with service_of(tmp_path, "local") as service:
        inner = LocalTransport(service)

        def lose(request: httpx.Request) -> httpx.Response:
            inner.handle_request(request).read()
            raise httpx.ReadError("gone")

        client = client_for(service, "local", Cut(service, lambda r: r.method == "POST", 1, lose))
        findings: list[Finding] = []
        found, left = run_write_probes(client, findings.append)
        assert (found, left, client.list_stores()) == ({}, False, ())
        assert [finding.topic for finding in findings] == ["write probes", "clean up"]


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        return httpx.Response(403, json={"error": {"message": "no"}})

    with service_of(tmp_path, "local") as service:
        client = client_for(service, "local", Cut(service, lambda r: r.method == "DELETE", 3, refuse))
        findings: list[Finding] = []
        _, left = run_write_probes(client, findings.append)
        assert left
        assert uploads(client) == 1
    assert (findings[-1].kind, findings[-1].topic) == (FindingKind.FAILED, "clean up")
    assert any("file-" in line and "403" in line for line in findings[-1].way_out)


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
            {"attributes": True, "shares_chunks": False},
            {},
            "    updates_reach_search: false  # not known: this is the safe side",
        ),
        ({"attributes": True}, {"shares_chunks": False, "updates_reach_search": True}, "as the manifest says"),
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


@pytest.mark.parametrize(
    ("fault", "topic", "unknown"),
    [
        ("status=409:GET:/vector_stores/*/file_batches", "list batches", {"list_batches"}),
        ("status=500:POST:/vector_stores/*/files/*", "update file", {"attribute_updates", "updates_reach_search"}),
        ("status=500:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
        ("status=500:POST:/vector_stores/*/search", "equal texts", {"updates_reach_search", "shares_chunks"}),
        ("status=422:POST:/vector_stores/*/search", "search", {"updates_reach_search", "shares_chunks"}),
    ],
)
def test_one_odd_answer_ends_one_probe(tmp_path: Path, fault: str, topic: str, unknown: set[str]) -> None:
    with service_of(tmp_path, "local") as service:
        findings: list[Finding] = []
        client = client_for(service, "compatible", LocalTransport(with_faults(service, [fault])))
        capabilities, left = run_write_probes(client, findings.append)
    assert (set(capabilities), left) == (USUAL.keys() - unknown, False)
    assert next(finding.kind for finding in findings if finding.topic == topic) is FindingKind.FAILED
