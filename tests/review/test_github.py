"""The action and the workflow: their shell steps run against a stubbed `gh`, with the real program."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.planfile.sealing import sealed
from tests.review.runner import ACTION, BOT, ROOT, Runner
from tests.sources.test_git import commit, git, start_repository

WORKFLOW = ROOT / ".github/workflows/vssync.yml"
CALLER = ROOT / "examples/github/vssync.yml"
MANIFEST = """\
version: 1
owner: kb
variables: {site: {default: here}}
stores:
  docs:
    attributes: {site: "${var.site}"}
    files: [{path: "docs/*.md", optional: true}]
"""


def loaded(path: Path) -> Any:
    """A workflow; YAML 1.1 takes its `on` for true."""
    return yaml.safe_load(path.read_text().replace("\non:", '\n"on":'))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    tree = loaded(path)
    jobs = tree["jobs"].values() if "jobs" in tree else [tree["runs"]]
    yield from (step for job in jobs for step in job.get("steps", ()))


RUN = next(step["run"] for step in steps(ACTION / "action.yml") if step.get("id") == "run")
FETCH = next(step["run"] for step in steps(WORKFLOW) if step.get("id") == "reviewed").replace(
    ".vssync-action/.github/actions/vssync", str(ACTION)
)
MERGED = {
    "number": 7,
    "merged_at": "2026-01-01T00:00:00Z",
    "base": {"ref": "main"},
    "head": {"sha": "a" * 40, "repo": {"full_name": "acme/kb"}},
    "labels": [{"name": "docs"}],
}
GOOD_RUN = {"id": 41, "path": ".github/workflows/kb.yml", "head_repository": {"full_name": "acme/kb"}}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    runner = Runner(tmp_path)
    pages = {f"docs/{number}.md": f"page {number}\n" for number in range(12)}
    start_repository(runner.checkout, {"vssync.yaml": MANIFEST, **pages})
    return runner


def comments_of(runner: Runner) -> list[str]:
    return [line for line in runner.asked if "--method" in line]


def test_a_plan_is_told_once_and_kept_up_to_date(runner: Runner) -> None:
    result = runner.run(RUN, MODE="plan", COMMENT="7")
    assert (result.code, result.outputs) == (0, {"changes": "true"})
    assert comments_of(runner) == [
        f"api --method POST repos/acme/kb/issues/7/comments -F body=@{runner.out / 'plan.md'} --silent"
    ]
    assert runner.body == result.summary == (runner.out / "plan.md").read_text()
    assert "12 to add" in runner.body
    others = {"id": 1, "user": {"login": "mallory"}, "body": runner.body}
    runner.knows(comments=[others, {"id": 2, "user": BOT, "body": runner.body}, {"id": 3, "user": BOT, "body": None}])
    assert runner.run(RUN, MODE="plan", COMMENT="7").code == 0
    assert "PATCH repos/acme/kb/issues/comments/2 " in comments_of(runner)[1]


def test_without_changes_there_is_nothing_to_review(runner: Runner) -> None:
    assert runner.run("vssync apply --yes").code == 0
    assert runner.run(RUN, MODE="plan").outputs == {"changes": "false"}
    assert runner.asked == []


def test_a_fork_is_looked_at_without_a_service(runner: Runner) -> None:
    git(runner.checkout, "checkout", "-q", "-b", "theirs")
    (runner.checkout / "docs/0.md").write_text("page 0, edited\n")
    commit(runner.checkout, 2)
    git(runner.checkout, "checkout", "-q", "main")
    git(runner.checkout, "merge", "-q", "--no-ff", "-m", "what GitHub checks out", "theirs")
    result = runner.run(RUN, MODE="against")
    assert (result.code, result.outputs) == (0, {"changes": "true"})
    assert "1 to replace, 0 to delete, 11 unchanged" in result.summary
    assert runner.asked == []
    assert not (runner.checkout / ".vssync").exists()
    assert not (runner.out / "plan.json").exists()


def shrink_folder(runner: Runner) -> None:
    assert runner.run("vssync apply --yes").code == 0
    for number in range(8):
        (runner.checkout / f"docs/{number}.md").unlink()


@pytest.mark.parametrize(
    ("labels", "code"),
    [
        ([], 3),
        (["vssync/max-delete=8"], 0),
        (["docs", "vssync/max-delete=90%"], 0),
        (["vssync/max-delete=7"], 3),
        (["vssync/max-delete=90% --adopt"], 3),
        (["vssync/max-delete=$(touch pwned)"], 3),
        (["vssync/max-delete=-1", "max-delete=90%"], 3),
    ],
)
def test_only_a_label_raises_a_guard(runner: Runner, labels: list[str], code: int) -> None:
    shrink_folder(runner)
    result = runner.run(RUN, MODE="plan", COMMENT="7", LABELS=json.dumps(labels))
    assert result.code == code
    assert ("Refused" in runner.body) == (code == 3)
    assert not list(runner.checkout.rglob("pwned"))


def save_reviewed_plan(runner: Runner, **environment: str) -> Path:
    assert runner.run(RUN, MODE="plan", **environment).code == 0
    return runner.keep_artifact()


def run_merge(runner: Runner, **environment: str) -> Any:
    """The jobs of a push after the merge: fetch, then apply."""
    runner.knows(pulls=[MERGED], runs={"workflow_runs": [GOOD_RUN]})
    fetched = runner.run(FETCH)
    assert fetched.code == 0, fetched.log
    inputs = {"LABELS": fetched.outputs["labels"], "COMMENT": fetched.outputs["number"], **environment}
    return runner.run(RUN, MODE="apply", **inputs)


def test_the_reviewed_plan_is_applied(runner: Runner) -> None:
    save_reviewed_plan(runner)
    result = run_merge(runner)
    assert result.code == 0, result.log
    assert "12 added" in result.summary
    assert comments_of(runner)[-1].startswith("api --method POST repos/acme/kb/issues/7/comments")
    assert runner.run(RUN, MODE="plan").outputs == {"changes": "false"}


def test_variables_are_those_of_the_plan(runner: Runner) -> None:
    save_reviewed_plan(runner, VARIABLES="site=there\n")
    assert run_merge(runner, VARIABLES="site=elsewhere").code == 3
    assert run_merge(runner, VARIABLES="site=there").code == 0


def test_a_stale_plan_writes_nothing(runner: Runner) -> None:
    save_reviewed_plan(runner)
    (runner.checkout / "docs/new.md").write_text("not reviewed\n")
    result = run_merge(runner)
    assert result.code == 3
    assert "stale" in result.log
    assert runner.run("vssync output").code == 1


@pytest.mark.parametrize(
    "options",
    [
        {"max_delete": {"share": 1.0}},
        {"adopt": True},
        {"adopt_from": ("others",)},
        {"manifest": "../elsewhere"},
        {"env": "prod"},
    ],
)
def test_a_plan_with_options_nobody_allowed_is_not_applied(runner: Runner, options: dict[str, Any]) -> None:
    path = save_reviewed_plan(runner)
    plan = json.loads(path.read_text())
    path.write_text(sealed({**plan, "options": {**plan["options"], **options}}))
    result = run_merge(runner)
    assert result.code == 3
    assert "made with other options" in result.summary
    assert runner.run("vssync output").code == 1


def test_a_label_of_the_pull_request_holds_when_it_is_applied(runner: Runner) -> None:
    shrink_folder(runner)
    label = "vssync/max-delete=90%"
    save_reviewed_plan(runner, LABELS=json.dumps([label]))
    assert run_merge(runner).code == 3
    assert run_merge(runner, LABELS=json.dumps([label])).code == 0


FORK = {**MERGED, "head": {"sha": "a" * 40, "repo": {"full_name": "mallory/kb"}}}


@pytest.mark.parametrize(
    ("pulls", "runs", "says"),
    [
        ([], [GOOD_RUN], "No merged pull request"),
        ([{**MERGED, "merged_at": None}], [GOOD_RUN], "No merged pull request"),
        ([{**MERGED, "base": {"ref": "other"}}], [GOOD_RUN], "No merged pull request"),
        ([FORK], [GOOD_RUN], "came from mallory/kb"),
        ([{**MERGED, "head": {"sha": "a" * 40, "repo": None}}], [GOOD_RUN], "came from a deleted fork"),
        ([MERGED], [], "no successful run"),
        ([MERGED], [{**GOOD_RUN, "head_repository": {"full_name": "mallory/kb"}}], "no successful run"),
        ([MERGED], [{**GOOD_RUN, "path": ".github/workflows/other.yml"}], "no successful run"),
    ],
)
def test_only_a_plan_of_this_repository_and_workflow_counts(
    runner: Runner, pulls: list[Any], runs: list[Any], says: str
) -> None:
    runner.knows(pulls=pulls, runs={"workflow_runs": runs})
    result = runner.run(FETCH)
    assert result.code == 1
    assert says in result.summary
    assert not [line for line in runner.asked if line.startswith("run download")]


def test_drift_opens_updates_and_closes_one_issue(runner: Runner) -> None:
    assert runner.run("vssync apply --yes").code == 0
    assert runner.run(RUN, MODE="drift").code == 0
    assert comments_of(runner) == []
    (runner.checkout / "docs/0.md").write_text("changed\n")
    assert runner.run(RUN, MODE="drift").code == 0
    assert "--method POST repos/acme/kb/issues " in comments_of(runner)[-1]
    assert runner.body.startswith("<!-- vssync:drift:kb -->\n")
    runner.knows(issues=[{"number": 9, "user": BOT, "body": runner.body}])
    assert runner.run(RUN, MODE="drift").code == 0
    assert "--method PATCH repos/acme/kb/issues/9 -F body=@" in comments_of(runner)[-1]
    (runner.checkout / "docs/0.md").write_text("page 0\n")
    assert runner.run(RUN, MODE="drift").code == 0
    assert "--method PATCH repos/acme/kb/issues/9 -f state=closed" in comments_of(runner)[-1]


@pytest.mark.parametrize("mode", ["plan", "against", "drift"])
def test_a_broken_manifest_fails_the_job(runner: Runner, mode: str) -> None:
    (runner.checkout / "vssync.yaml").write_text("version: 2\n")
    result = runner.run(RUN, MODE=mode, COMMENT="7")
    assert result.code == 1
    assert comments_of(runner) == []


FILES = [WORKFLOW, CALLER, ACTION / "action.yml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_and_no_script_is_built_from_what_others_write(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")
        uses = step.get("uses", "./")
        assert uses.startswith("./") or re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40}", uses)


def test_permissions_are_the_least() -> None:
    jobs = loaded(WORKFLOW)["jobs"]
    assert [loaded(path)["permissions"] for path in (WORKFLOW, CALLER)] == [{}, {}]
    writes = {
        name: {right for right, access in job["permissions"].items() if access == "write"} for name, job in jobs.items()
    }
    assert writes == {"against": set(), "plan": {"pull-requests"}, "apply": {"pull-requests"}, "drift": {"issues"}}
    assert all(
        not step["with"]["persist-credentials"] for step in steps(WORKFLOW) if "checkout" in step.get("uses", "")
    )


def test_a_fork_gets_no_secret() -> None:
    tree = loaded(WORKFLOW)
    assert "pull_request_target" not in WORKFLOW.read_text() + CALLER.read_text()
    assert "workflow_run" not in tree["on"]
    secrets = {name: re.findall(r"secrets\.[a-z-]+", json.dumps(job)) for name, job in tree["jobs"].items()}
    assert secrets == {
        "against": [],
        "plan": ["secrets.plan-key"],
        "apply": ["secrets.apply-key"],
        "drift": ["secrets.plan-key"],
    }
    assert "!= github.repository" in tree["jobs"]["against"]["if"]
    assert "== github.repository" in tree["jobs"]["plan"]["if"]


def test_the_example_gives_what_the_workflow_takes() -> None:
    (job,) = loaded(CALLER)["jobs"].values()
    called = loaded(WORKFLOW)["on"]["workflow_call"]
    assert set(job["with"]) <= set(called["inputs"])
    assert {name for name, declared in called["inputs"].items() if declared.get("required")} <= set(job["with"])
    assert set(job["secrets"]) == set(called["secrets"])
    wanted = {right for job in loaded(WORKFLOW)["jobs"].values() for right in job["permissions"].items()}
    assert wanted <= set(job["permissions"].items()) | {("contents", "read")}
