"""Every scenario converges: plan, apply, plan is empty, and a second apply writes nothing.

A scenario is a folder of numbered trees, each with its manifest. They are laid over one another in one work folder, so
that each step plans against what the step before it made. `plan.txt` beside a manifest is what a person sees; it is
written anew by `pytest --update-goldens`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Silent, masked, open_test_session
from vssync.model.plan import Options
from vssync.render.layout import View
from vssync.render.plan_text import plan_text

SCENARIOS = sorted(path for path in (Path(__file__).parent / "scenarios").iterdir() if path.is_dir())


def lay_tree(tree: Path, folder: Path) -> None:
    """Makes the folder hold exactly this tree; what the local service keeps stays."""
    for path in folder.iterdir():
        if path.name != ".vssync":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(tree, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("plan.txt"))


def assert_converges(folder: Path, golden: Path | None, *, update: bool) -> None:
    """One step: the plan as expected, applied, then nothing to do and nothing written."""
    with open_test_session(folder) as (session, _):
        plan = make_plan_now(session, Options())
        shown = masked(plan_text(plan, View()).replace(str(folder), "."))
        if golden and update:
            golden.write_text(shown + "\n")
        assert golden is None or shown + "\n" == golden.read_text()
        report = apply_plan(session, plan, Silent())
        assert report.converged, report.outcomes
        assert not report.orphans
    assert_nothing_to_do(folder)


def assert_nothing_to_do(folder: Path) -> None:
    """Nothing to do, and doing it writes nothing."""
    with open_test_session(folder) as (session, recorder):
        plan = make_plan_now(session, Options())
        assert list(plan.changes()) == []
        apply_plan(session, plan, Silent())
        assert recorder.writes == []


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.name)
def test_scenario(scenario: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    for tree in sorted(path for path in scenario.iterdir() if path.is_dir()):
        lay_tree(tree, tmp_path)
        assert_converges(tmp_path, tree / "plan.txt", update=bool(request.config.getoption("--update-goldens")))
