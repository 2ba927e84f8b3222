"""The same manifest on a stand-in of each provider, over a port: applied, it is as wanted, and stays so."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.builders import COMPARTMENT, PROJECT, service_of
from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.local.server import serving
from vssync.model.plan import Options

SHARED = f"region: us-chicago-1, project: '{PROJECT}', compartment: '{COMPARTMENT}', auth: bearer"
OLD = "capabilities: {batch_files: false, list_batches: false, updates_reach_search: false}"


def write_manifest(folder: Path, service: str) -> None:
    (folder / "docs").mkdir()
    for number in range(12):
        (folder / f"docs/{number}.md").write_text(f"# Page {number}\nWords of page {number}.\n")
    (folder / "vssync.yaml").write_text(
        f"version: 1\nowner: shelf\nservice: {{{service}}}\nstores:\n  guide:\n"
        "    attributes: {product: shelf, weight: 0.1, public: true, name: 'é'}\n    guards: {max_replace: 100%}\n"
        "    files: [{path: 'docs/*.md'}]\n"
        "    overrides: [{match: 'docs/1*.md', chunking: {size: 400, overlap: 100}}]\n"
    )


def change_files(folder: Path) -> None:
    """A new file, new bytes, one file less, another attribute, other chunking."""
    (folder / "docs/new.md").write_text("# New\n")
    (folder / "docs/1.md").write_text("# Page 1\nOther words.\n")
    (folder / "docs/2.md").unlink()
    text = (folder / "vssync.yaml").read_text()
    text = text.replace("public: true", "public: false").replace("size_tokens: 400", "size_tokens: 300")
    (folder / "vssync.yaml").write_text(text)


def converge(folder: Path, clock: Clock) -> int:
    """Plans, applies, plans again; how many changes it took."""
    settings = Settings(
        manifest=str(folder), workers=1, environment={"VSSYNC_API_KEY": "k", "VSSYNC_ALLOW_HOSTS": "127.0.0.1"}
    )
    loaded = load_manifest(settings)
    with open_session(settings, loaded, clock=clock) as session:
        plan = make_plan_now(session, Options())
        report = apply_plan(session, plan, Silent())
        assert report.converged, [outcome for outcome in report.outcomes if outcome.detail]
        assert report.orphans == ()
        assert make_plan_now(session, Options()).empty
    return sum(len(store.files) for store in plan.stores)


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("provider", "spoken", "capabilities"),
    [
        ("openai", "openai", ""),
        ("oci", "oci", SHARED),
        ("oci", "oci,lists-batches=on", f"{SHARED}, capabilities: {{list_batches: true}}"),
        ("oci", "oci,unreadable-batches=500", SHARED),
        ("oci", "oci,has-batches=off", f"{SHARED}, capabilities: {{batches: false}}"),
        ("azure", "azure", ""),
        ("azure", "azure", "auth: api_key, capabilities: {batch_size: 2000}"),
        ("compatible", "compatible", OLD),
        ("compatible", "compatible,shares-chunks=off", ""),
        ("compatible", "local,has-batches=off", ""),
        ("compatible", "local,takes-files=off", ""),
    ],
)
def test_every_provider_converges(tmp_path: Path, provider: str, spoken: str, capabilities: str) -> None:
    clock = Clock()
    with service_of(tmp_path, spoken, clock) as service, serving(service) as url:
        base = url.removesuffix("/v1")
        control = f", control_url: '{base}/20231130/openai/v1'" if provider == "oci" else ""
        data = f"{base}/openai/v1" if provider in ("oci", "azure") else url
        write_manifest(
            tmp_path, ", ".join(filter(None, [f"provider: {provider}", f"data_url: '{data}'{control}", capabilities]))
        )
        assert converge(tmp_path, clock) == 12
        change_files(tmp_path)
        assert converge(tmp_path, clock) > 3
        declared = (tmp_path / "vssync.yaml").read_text()
        for store in ("removed: keep", "", "removed: delete"):  # given up, taken over again, deleted
            head, _, fields = declared.partition("  guide:\n")
            guide = f"  guide: {{{store}}}\n" if store else f"  guide:\n    adopt: true\n{fields}"
            (tmp_path / "vssync.yaml").write_text(head + guide)
            assert converge(tmp_path, clock) == 12
