"""Every example works: each environment is valid and renders itself; those on the local service converge."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import Clock, Silent
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.model.plan import Options
from vssync.model.report import Report
from vssync.render.manifest import manifest_json, manifest_yaml
from vssync.sources.load import LoadedManifest

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
GUIDE = len(list(EXAMPLES.glob("quickstart/docs/**/*.md")))
# manifest, environment, stores, files
LOCAL: list[tuple[str, str | None, int, int]] = [
    ("quickstart", None, 1, GUIDE),
    ("handbook/ops/vectors", None, 1, 8),
    ("tenants", None, 40, 120),
    ("product-docs", "dev", 1, 8),
    ("product-docs", "pr-12", 1, 8),
]
ELSEWHERE: list[tuple[str, str | None, int, int]] = [
    ("product-docs", "staging", 1, 8),
    ("product-docs", "prod", 1, 7),
]
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
    desired = load_manifest(Settings(manifest=str(examples / manifest), env=env), hashed=False).desired
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


@pytest.mark.parametrize(("manifest", "env", "stores", "files"), LOCAL)
def test_it_converges(examples: Path, manifest: str, env: str | None, stores: int, files: int) -> None:
    settings = Settings(manifest=str(examples / manifest), env=env, workers=1)
    assert sum(outcome.key != "" for outcome in applied(settings).outcomes) == files
    second = applied(settings)
    assert second.plan.empty
    assert second.outcomes == ()


def applied(settings: Settings) -> Report:
    """One run of plan and apply."""
    with open_session(settings, load_manifest(settings), clock=Clock()) as work:
        report = apply_plan(work, make_plan_now(work, Options()), Silent())
    assert report.converged, report.outcomes
    return report
