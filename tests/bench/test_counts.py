"""What runs cost in counts, which no machine's load changes: none may grow beyond `baseline.json`.

After a change that lowers one on purpose, `pytest tests/bench --update-goldens` writes it anew.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.bench.cases import write_files, write_manifest
from tests.bench.plot import growth_plot
from tests.bench.process import run_program
from tests.planner.builders import OWNER, desired_file, live_copy, live_store
from tests.support import Silent, open_test_session
from vssync.commands.apply import apply_plan
from vssync.commands.destroy import plan_destruction
from vssync.commands.plan import make_plan_now
from vssync.model.plan import Options, Plan
from vssync.model.service import ServiceSpec
from vssync.model.state import Contents, Desired, DesiredStore, Snapshot
from vssync.planner.assemble import make_plan

BASELINE = Path(__file__).with_name("baseline.json")
FILES = 230  # three batches, three pages


def assert_not_grown(kind: str, counts: dict[str, int], request: pytest.FixtureRequest) -> None:
    baseline = json.loads(BASELINE.read_text())
    if request.config.getoption("--update-goldens"):
        BASELINE.write_text(json.dumps(baseline | {kind: counts}, indent=2) + "\n")
        return
    assert counts.keys() == baseline[kind].keys()
    assert {name: count for name, count in counts.items() if count > baseline[kind][name]} == {}, baseline[kind]


def test_requests(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    write_files(tmp_path, FILES)
    write_manifest(tmp_path)
    counts: dict[str, int] = {}

    def spend(*names: str, destroys: bool = False) -> None:
        with open_test_session(tmp_path) as (session, recorder):
            plan = plan_destruction(session) if destroys else make_plan_now(session, Options())
            counts[names[0]] = len(recorder.seen)
            if names[1:]:
                assert apply_plan(session, plan, Silent()).converged
                counts[names[1]] = len(recorder.seen) - counts[names[0]]

    spend("plan a first apply", "first apply")
    spend("no-op plan")
    write_manifest(tmp_path, extra=", edition: second")
    spend("no-op plan", "attribute updates")
    spend("plan a destroy", "destroy", destroys=True)
    assert counts["destroy"] == FILES + 8  # the store, read and listed just before; what confirms it; each upload
    assert_not_grown("requests", counts, request)


def test_modules_of_a_plan(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Ours, and the packages of others: what those are made of, and what an environment loads, differs."""
    project = tmp_path / "project"
    write_files(project, 2)
    write_manifest(project)
    cost = run_program(project, tmp_path / "state", "plan")
    assert not {"importlib.metadata", "statistics", "tomllib", "jsonschema", "rich"} & {*cost.modules}
    names = {name if name.startswith("vssync.") else name.split(".")[0] for name in cost.modules}
    packages = {name for name in names - {*sys.stdlib_module_names, "tests"} if not name.startswith("_")}
    assert_not_grown("modules", {"plan": len(packages)}, request)


def test_memory_of_a_no_op_plan(request: pytest.FixtureRequest) -> None:
    """The most bytes a file that making the plan takes at a time, beside what it is made of; to the next 50."""
    files = tuple(replace(desired_file(f"{n}.md", str(n)), attributes={"lang": "en"}) for n in range(1_000))
    store = DesiredStore("guide", "guide", files=files)
    live = tuple(live_copy(file, id=f"file-{n:024x}") for n, file in enumerate(files))
    snapshot = Snapshot(10_000, (live_store(store),), {"vs1": Contents(live)})
    desired = Desired(OWNER, ServiceSpec(), (store,))

    def planned() -> Plan:
        return make_plan(desired, snapshot, Options())

    planned()
    gc.collect()
    tracemalloc.start()
    assert planned().empty
    peak = tracemalloc.get_traced_memory()[1] // len(files)
    tracemalloc.stop()
    assert_not_grown("bytes", {"no-op plan": -(-peak // 50) * 50}, request)


def test_a_plot_has_every_case_and_figure() -> None:
    cases = {"plan": {10: 0.5, 100: 0.6}, "a<b": {10: 0.5, 100: 0.6001}}
    drawn = ElementTree.fromstring(growth_plot(cases))
    texts = {text.text: float(text.get("y", 0)) for text in drawn.iter("{http://www.w3.org/2000/svg}text")}
    assert {"plan", "a<b", "10", "100"} <= texts.keys()
    assert abs(texts["plan"] - texts["a<b"]) >= 14  # neither covers the other
    assert sum(1 for _ in drawn.iter("{http://www.w3.org/2000/svg}circle")) == 4
