"""What tests of doctor and of providers build: the local service in a dialect, a client for it, and a manifest."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import httpx

from tests.support import Clock
from vssync.api.client import Client
from vssync.api.connect import connect
from vssync.commands.doctor.facts import Facts
from vssync.commands.doctor.finding import Finding
from vssync.commands.doctor.scratch import ScratchStore, Trial
from vssync.commands.doctor.write_probes import run_write_probes
from vssync.endpoints import Endpoint
from vssync.local.app import Service, open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.transport import LocalTransport
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


def client_for(
    service: Service, provider: str, transport: httpx.BaseTransport | None = None, clock: Clock | None = None
) -> Client:
    data, control = ("/openai/v1", "/20231130/openai/v1") if provider == "oci" else ("/v1", "/v1")
    headers = {"openai-project": PROJECT, "opc-compartment-id": COMPARTMENT, "authorization": f"Bearer {KEY}"}
    place = Endpoint(
        PROVIDERS[provider], f"http://local{data}", f"http://local{control}", headers, headers, AuthKind.NONE
    )
    return connect(place, auth=None, clock=clock or Clock(), workers=1, transport=transport or LocalTransport(service))


def tried(client: Client) -> tuple[Facts, list[Finding], bool]:
    """The facts that the write probes saw, their findings, and whether nothing is left."""
    findings: list[Finding] = []
    trial = Trial(ScratchStore(client), findings.append)
    is_clean = run_write_probes(trial)
    return trial.facts, findings, is_clean


def left_of(client: Client) -> list[str]:
    """The ids of the stores and Files that there are."""
    return [store.id for store in client.list_stores()] + [upload.id for upload in client.list_uploads()]


def manifest(folder: Path, service: str) -> None:
    (folder / "a.md").write_text("hello\n")
    (folder / "vssync.yaml").write_text(
        f"version: 1\nowner: shelf\nservice: {service}\nstores: {{docs: {{files: [{{path: '*.md'}}]}}}}\n"
    )


def service_fields(provider: str, url: str, project: str = PROJECT, compartment: str = COMPARTMENT) -> str:
    """The `service` of a manifest for the local service on a port."""
    base = url.removesuffix("/v1")
    split = f"data_url: '{base}/openai/v1', control_url: '{base}/20231130/openai/v1', region: us-chicago-1"
    place = split if provider == "oci" else f"data_url: '{url}'"
    return f"{{provider: {provider}, {place}, project: '{project}', compartment: '{compartment}'}}"


USUAL = {
    "attributes": True,
    "list_batches": True,
    "batch_files": True,
    "batches": True,
    "attribute_updates": True,
    "store_creates": True,
    "store_updates": True,
    "shares_chunks": False,
    "updates_reach_search": True,
}
