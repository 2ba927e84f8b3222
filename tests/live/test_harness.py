"""Live runs pass against `vssync serve` in every dialect, fail where a search is wrong, and always clean up."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import yaml

from tests.doctor.builders import service_of
from tests.guarantees.test_providers import SHARED
from tests.live import service as live_service
from tests.live.service import BUDGET, MANIFEST, Budget, read_service
from vssync.local.dialects import DIALECTS
from vssync.local.server import serving

ROOT = Path(__file__).parents[2]
OGX = "capabilities: {batch_files: false, list_batches: false, updates_reach_search: false}"
SERVICES = {"oci": SHARED, "compatible": OGX}  # what a manifest says beside the address


def run_live(
    folder: Path, spoken: str, more: str = "", words: tuple[str, ...] = (), **variables: str
) -> subprocess.CompletedProcess[str]:
    """`pytest -m live` against a service that speaks so. Nothing of it is there afterwards."""
    provider = spoken.partition(",")[0]
    with service_of(folder, spoken) as service, serving(service) as url:
        address = {"provider": provider, "data_url": url}
        if provider == "oci":
            base = url.removesuffix("/v1")
            address |= {"data_url": f"{base}/openai/v1", "control_url": f"{base}/20231130/openai/v1"}
        stated = yaml.safe_load(f"{{{more or SERVICES.get(provider, '')}}}")
        (folder / "service.yaml").write_text(yaml.safe_dump({"service": address | stated}))
        environment = {"VSSYNC_API_KEY": "k", "VSSYNC_ALLOW_HOSTS": "127.0.0.1", "VSSYNC_LIVE_PATIENCE": "0"}
        done = pytest_live(
            folder, *words, **environment, VSSYNC_LIVE_MANIFEST=str(folder / "service.yaml"), **variables
        )
    with closing(sqlite3.connect(folder / "live/service.db")) as database:
        left = database.execute("select (select count(*) from stores), (select count(*) from files)").fetchone()
    assert left == (0, 0), done.stdout
    return done


def pytest_live(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    options = ("-q", "-n", "0", "-p", "no:cacheprovider", "--basetemp", str(folder / "run"))
    command = [sys.executable, "-m", "pytest", "-m", "live", *options, *words, "tests/live"]
    return subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )


def test_a_service_has_to_be_named(tmp_path: Path) -> None:
    done = pytest_live(tmp_path)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert f"-m live: set {MANIFEST} to a manifest" in done.stderr


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "set VSSYNC_LIVE_MANIFEST to a manifest"),
        ("stores: {}", "its `service` has to be one that is reached over the network"),
        ("service: {provider: local}", "its `service` has to be one that is reached over the network"),
        ("service: [", "not a manifest"),
        ("just words", "not a manifest"),
    ],
)
def test_what_does_not_name_a_service_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, problem: str
) -> None:
    (tmp_path / "service.yaml").write_text(text)
    monkeypatch.setitem(live_service.ENVIRONMENT, MANIFEST, str(tmp_path / "service.yaml") if text else "")
    with pytest.raises(pytest.UsageError, match=problem):
        read_service()


@pytest.mark.parametrize("text", ["requests", "requests=", "requests=many", "euros=3", "files=-1"])
def test_a_budget_that_cannot_be_read_is_an_error(text: str) -> None:
    with pytest.raises(pytest.UsageError, match="say NAME=N, with a name of files, requests, seconds"):
        Budget.parse(text)


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["requests=40", "files=3", "seconds=1"])
def test_a_spent_budget_ends_the_run(tmp_path: Path, limit: str) -> None:
    name, _, count = limit.partition("=")
    done = run_live(tmp_path, "local", VSSYNC_LIVE_BUDGET=limit)
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert f"{BUDGET}: more than {count} {name}" in done.stdout
    assert "1 failed" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("spoken", DIALECTS)
def test_every_dialect_passes(tmp_path: Path, spoken: str) -> None:
    done = run_live(tmp_path, spoken)
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("spoken", "stated", "words", "problem"),
    [
        ("local,stale-filters=on", "capabilities: {updates_reach_search: true}", "attributes", "filter {'type': 'eq'"),
        ("local,shares-chunks=on", "capabilities: {shares_chunks: false}", "first or equal", "search for 'alder'"),
        ("local,ignores-chunking=on", "", "chunking", "which is more than 200 tokens"),
    ],
)
def test_a_wrong_answer_fails(tmp_path: Path, spoken: str, stated: str, words: str, problem: str) -> None:
    """Here the manifest states, or the service says, what is not so."""
    done = run_live(tmp_path, spoken, stated, ("-k", words))
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert problem in done.stdout
