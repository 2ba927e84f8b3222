"""Every example works: each environment is valid and renders itself; those on the local service converge."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from openai import OpenAI

from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.local import LocalTransport, open_service
from vssync.model.marks import KEY
from vssync.model.plan import Action, Options
from vssync.model.report import Report, Status
from vssync.render.manifest import manifest_json, manifest_yaml
from vssync.sources.load import LoadedManifest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GUIDE = len(list(EXAMPLES.glob("quickstart/docs/**/*.md")))
# manifest, environment, stores, files
LOCAL: list[tuple[str, str | None, int, int]] = [
    ("quickstart", None, 1, GUIDE),
    ("consultancy", None, 40, 120),
    ("monorepo/teams/billing/kb", None, 1, 6),
    ("monorepo/teams/support/kb", None, 2, 5),
    ("monorepo/teams/people/kb", None, 1, 8),
    ("product-docs", "dev", 1, 10),
]
ELSEWHERE: list[tuple[str, str | None, int, int]] = [
    ("product-docs", "pr-12", 1, 11),
    ("product-docs", "staging", 1, 10),
    ("product-docs", "prod", 1, 10),
]


class Search(NamedTuple):
    """A question to a live store, and the key of the best hit: with a filter by an attribute, of the only one."""

    store: str
    query: str
    key: str
    filter: tuple[str, str, str | int] | None = None


SEARCHES: dict[str, list[Search]] = {
    "quickstart": [Search("guide", "how do I stop vssync deleting a store", "docs/ownership-and-safety.md")],
    "consultancy": [
        Search("client-deltawatt", "may data leave the client's network", "engagements/deltawatt/brief.md"),
        Search("client-deltawatt", "notice to end the contract", "shared/terms.md"),
        Search("client-helix-bio", "in the phase", "engagements/helix-bio/brief.md", ("eq", "phase", "design")),
    ],
    "monorepo/teams/billing/kb": [
        Search("billing-runbooks", "who declares an incident", "shared/incidents.md"),
        Search("billing-runbooks", "run", "services/billing/runbooks/double-charge.md", ("lt", "severity", 2)),
        Search("billing-runbooks", "refund", "services/ledger/runbooks/close-month.md", ("eq", "severity", 3)),
    ],
    "monorepo/teams/support/kb": [
        Search("support-faq", "where is my invoice", "faq/invoices.md"),
        Search("support-faq", "invoices Rechnungen", "faq/de/invoices.md", ("eq", "lang", "de")),
        Search("support-replies", "the amount is on its way back", "replies/refund.txt"),
    ],
    "monorepo/teams/people/kb": [
        Search("handbook", "how much may I spend on a hotel", "teams/people/handbook/policies/expenses.md"),
        Search("handbook", "hardware key", "teams/people/handbook/policies/security.md", ("eq", "section", "policy")),
    ],
    "product-docs": [
        Search("product-docs-dev", "the light flickers", "lamp/guide/trouble.md"),
        Search("product-docs-dev", "network", "lamp/guide/setup-1.4.md", ("eq", "versions", "1.4")),
        Search("product-docs-dev", "water", "kettle/reference/error-codes.md", ("eq", "level", "expert")),
        Search("product-docs-dev", "network", "lamp/guide/trouble.md", ("gte", "updated", 1785542400)),  # August 2026
    ],
}
SCENARIOS = sorted((ROOT / "tests/guarantees/scenarios").glob("*/*/vssync.yaml"))


@pytest.fixture
def examples(tmp_path: Path) -> Path:
    """The examples in a git work tree of their own."""
    shutil.copytree(EXAMPLES, tmp_path / "examples", ignore=shutil.ignore_patterns(".vssync"))
    (tmp_path / ".git").mkdir()
    return tmp_path / "examples"


def test_every_example_is_tried() -> None:
    folders = {path.parent.relative_to(EXAMPLES).as_posix() for path in EXAMPLES.rglob("vssync.yaml")}
    assert folders == {manifest for manifest, *_ in (*LOCAL, *ELSEWHERE)}


@pytest.mark.parametrize(("manifest", "env", "stores", "files"), [*LOCAL, *ELSEWHERE])
def test_it_is_valid(examples: Path, manifest: str, env: str | None, stores: int, files: int) -> None:
    desired = load_manifest(Settings(manifest=str(examples / manifest), env=env)).desired
    assert (len(desired.stores), sum(len(store.files) for store in desired.stores)) == (stores, files)
    assert (desired.service.provider == "local") == ((manifest, env, stores, files) in LOCAL)


def renders_itself(folder: Path, env: str | None) -> None:
    """Rendered twice it is the same text, in both forms, and means the same stores and service."""
    loaded = load_manifest(Settings(manifest=str(folder), env=env))
    text, other = manifest_yaml(loaded.manifest), manifest_json(loaded.manifest)
    for name, shown in (("again.yaml", text), ("again.json", other)):
        second = _loaded(folder / name, shown)
        assert (manifest_yaml(second.manifest), manifest_json(second.manifest)) == (text, other)
        assert second.desired.stores == loaded.desired.stores
        assert second.desired.service == loaded.desired.service


def _loaded(path: Path, text: str) -> LoadedManifest:
    path.write_text(text)
    try:
        return load_manifest(Settings(manifest=str(path)))
    finally:
        path.unlink()


@pytest.mark.parametrize(("manifest", "env", "stores", "files"), [*LOCAL, *ELSEWHERE])
def test_it_renders_itself(examples: Path, manifest: str, env: str | None, stores: int, files: int) -> None:
    renders_itself(examples / manifest, env)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: "/".join(path.parts[-3:-1]))
def test_scenarios_render_themselves(scenario: Path, tmp_path: Path) -> None:
    shutil.copytree(scenario.parent, tmp_path / "work")
    renders_itself(tmp_path / "work", None)


@pytest.mark.wide(3)
@pytest.mark.parametrize(("manifest", "env", "stores", "files"), LOCAL)
def test_it_converges_and_answers(examples: Path, manifest: str, env: str | None, stores: int, files: int) -> None:
    settings = Settings(manifest=str(examples / manifest), env=env, workers=1)
    assert sum(outcome.key != "" for outcome in applied(settings).outcomes) == files
    second = applied(settings)
    assert second.plan.empty
    assert second.outcomes == ()
    with open_sdk(examples / manifest) as client:
        ids = {store.name: store.id for store in client.vector_stores.list(limit=100)}
        for store, query, key, condition in SEARCHES[manifest]:
            keys = search(client, ids[store], query)
            if condition:
                assert len(keys) > 1, "the filter has something to do"
                keys = search(
                    client, ids[store], query, filters=dict(zip(("type", "key", "value"), condition, strict=True))
                )
                assert len(keys) == 1
            assert keys[0] == key


def test_a_page_that_all_clients_share_is_replaced_in_each_store(examples: Path) -> None:
    settings = Settings(manifest=str(examples / "consultancy"), workers=1)
    applied(settings)
    with (examples / "consultancy/shared/terms.md").open("a") as page:
        page.write("- Reports are in the language of the client.\n")
    report = applied(settings)
    assert [outcome.key for outcome in report.outcomes] == ["shared/terms.md"] * 40
    assert [(outcome.action, outcome.status) for outcome in report.outcomes] == [(Action.REPLACE, Status.DONE)] * 40


@contextmanager
def open_sdk(folder: Path) -> Iterator[OpenAI]:
    """The SDK, with the local service of a manifest."""
    service = open_service(folder / ".vssync/local")
    with httpx.Client(transport=LocalTransport(service)) as http_client:
        transport: Any = http_client  # the SDK takes it, whichever httpx its types name
        yield OpenAI(base_url="http://local/v1", api_key="none", http_client=transport)
    service.close()


def search(client: OpenAI, store_id: str, query: str, **options: Any) -> list[str]:
    """The keys of the hits, the best first."""
    hits = client.vector_stores.search(store_id, query=query, max_num_results=50, **options)
    return [str((hit.attributes or {}).get(KEY)) for hit in hits]


def applied(settings: Settings) -> Report:
    """One run of plan and apply."""
    with open_session(settings, load_manifest(settings), clock=Clock()) as work:
        report = apply_plan(work, make_plan_now(work, Options()), Silent())
    assert report.converged, report.outcomes
    return report
