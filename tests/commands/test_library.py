"""The library: its names, the guide's example, and that a plan is refused, or told to be stale, before any write."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import vssync
from vssync.model.plan import FileChange
from vssync.model.report import Status

PAGE = Path(__file__).parents[2] / "examples/quickstart/docs/library.md"
MANIFEST = """\
version: 1
owner: kb
environments: {prod: {}}
stores:
  docs: {files: [{path: "*.md"}]}
  more: {files: [{path: "*.txt", optional: true}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/vssync.yaml").write_text(MANIFEST)
    for number in range(12):
        (tmp_path / f"kb/{number}.md").write_text(f"# {number}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VSSYNC_STATE_DIR", str(tmp_path / "state"))
    return tmp_path / "kb"


def test_the_public_names() -> None:
    assert vssync.__all__ == [
        *("AccessDenied", "Event", "LostReply", "ManifestError", "NotFound", "Options", "Plan", "Problem", "Refused"),
        *("Report", "ServiceError", "Session", "UsageProblem", "VssyncError", "load_plan", "open"),
    ]
    assert set(vssync.__all__) < set(dir(vssync))
    public = [getattr(vssync, name) for name in vssync.__all__]
    errors = {each.__name__ for each in public if isinstance(each, type) and issubclass(each, vssync.VssyncError)}
    assert errors == {
        *("AccessDenied", "LostReply", "ManifestError", "NotFound", "Refused", "ServiceError", "UsageProblem"),
        "VssyncError",
    }
    with pytest.raises(AttributeError, match="no attribute 'Plans'"):
        attrgetter("Plans")(vssync)


@pytest.mark.parametrize(
    "code", ["import vssync", "from vssync.cli.main import cli; cli(['plan', '--help'], standalone_mode=False)"]
)
def test_neither_the_import_nor_a_help_waits_for_what_it_does_not_need(code: str) -> None:
    assert not {"deepdiff", "falcon", "httpx", "jsonschema", "msgspec", "rich", "yaml"} & imported(code)


def test_a_plan_waits_for_nothing_that_draws_bars_or_locks(folder: Path) -> None:
    words = ["vssync", "plan", "--env", "prod", "-f", str(folder)]
    code = f"import sys; sys.argv = {words}\nfrom vssync.cli.main import main\ntry: main()\nexcept SystemExit: pass"
    found = imported(code)
    assert {"httpx", "vssync.planner.assemble"} <= found
    assert not {"deepdiff", "filelock", "jsonschema", "msgspec", "pygments", "rich"} & found
    assert (
        not {
            f"vssync.{name}" for name in ("planfile", "render.comment", "render.json", "sources.revision", "staleness")
        }
        & found
    )
    assert {name for name in found if name.startswith("vssync.applier.")} <= {"vssync.applier.watcher"}


def imported(code: str) -> set[str]:
    """The modules that are there once this code has run."""
    shown = f"{code}\nimport sys, json; print('\\n' + json.dumps([name for name in sys.modules if sys.modules[name]]))"
    end = subprocess.run([sys.executable, "-c", shown], check=True, capture_output=True, text=True, timeout=60)
    return set(json.loads(end.stdout.splitlines()[-1]))


def test_the_guides_example(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(first, names)
    assert names["report"].converged
    shown = capsys.readouterr().out
    for line in ("Plan: 12 to add", "docs: 12 changes to apply", "converged: True", "docs 0.md create done"):
        assert line in shown
    assert shown.count("docs: 1 change settled\n") == 12
    exec(second, names)
    assert names["report"].converged
    assert [(outcome.store, outcome.key) for outcome in names["report"].outcomes] == [("more", "")]


def test_a_plan_tells_its_changes_and_counts(folder: Path) -> None:
    with vssync.open(folder, env="prod") as kb:
        plan = kb.plan(targets="docs/1.md")
        change = plan.changes[-1]
        assert isinstance(change, FileChange)
        assert (change.key, plan.counts.add, plan.refusals) == ("1.md", 1, ())
        assert json.loads(plan.to_json())["kind"] == "plan"
        assert kb.apply(plan).converged
        assert [outcome.status for outcome in kb.apply(plan).outcomes] == []
        assert kb.plan(vssync.Options(targets=("docs/1.md",))).changes == ()


def test_a_plan_with_refusals_is_not_applied(folder: Path) -> None:
    with vssync.open(folder, env="prod") as kb:
        assert kb.apply(kb.plan()).converged
    for number in range(11):
        (folder / f"{number}.md").unlink()
    with vssync.open(folder, env="prod") as kb:
        plan = kb.plan()
        assert len(plan.refusals) == 1
        with pytest.raises(vssync.Refused):
            kb.apply(plan)
        assert kb.plan().counts.delete == 11


def test_a_stale_plan_is_not_applied(folder: Path) -> None:
    with vssync.open(folder, env="prod") as kb:
        kb.plan().save("plan.json")
    (folder / "0.md").write_text("changed\n")
    with vssync.open(folder, env="prod") as kb, pytest.raises(vssync.Refused, match=r"stale(?s:.*)0\.md"):
        kb.apply(vssync.load_plan("plan.json"))


def test_a_change_that_is_done_already_is_reported(folder: Path) -> None:
    with vssync.open(folder, env="prod") as kb:
        plan = kb.plan()
        outcomes = kb.apply(plan).outcomes
        assert {outcome.status for outcome in outcomes} == {Status.DONE}
        assert len(kb.apply(plan).already) == len(outcomes)


def test_a_wrong_manifest_raises_with_every_problem(folder: Path) -> None:
    (folder / "vssync.yaml").write_text("version: 1\nowner: kb\nstoers: {}\n")
    with pytest.raises(vssync.ManifestError) as raised, vssync.open(folder):
        pass
    assert [problem.line for problem in raised.value.problems if "stoers" in problem.message] == [3]
