"""The GitLab template: its scripts run against a stubbed `curl`, with the real program."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.api.loopback import Got, Sent, listening
from tests.planfile.sealing import sealed
from tests.review.runner import ROOT, End, Runner
from tests.sources.test_git import git, start_repository

TEMPLATE: dict[str, Any] = yaml.safe_load((ROOT / "examples/gitlab/vssync.gitlab-ci.yml").read_text())
CURL = """\
#!/usr/bin/env bash
set -euo pipefail
url= out= method=GET
while [ $# -gt 0 ]; do
    case "$1" in
        -o) out=$2 && shift ;;
        -X) method=$2 && shift ;;
        -H | --data-binary) shift ;;
        http*) url=$1 ;;
    esac
    shift
done
echo "$method $url" >>"$GH_STATE/log"
[ "$method" = GET ] || { cat >"$GH_STATE/body" && exit; }
case "$url" in
    */user) echo '{"id": 5}' ;;
    */notes\\?*sort=asc*) cat "$GH_STATE/comments.json" ;;
    */issues\\?*scope=created_by_me*) cat "$GH_STATE/issues.json" ;;
    */merge_requests) cat "$GH_STATE/pulls.json" ;;
    */pipelines) cat "$GH_STATE/runs.json" ;;
    */jobs\\?*) echo '[{"name": "other", "id": 60}, {"name": "vssync:plan", "id": 50}]' ;;
    */jobs/50/artifacts/.vssync-plan/plan.json) cp "$GH_STATE/plan.json" "$out" ;;
    *) exit 22 ;;
esac
"""
MERGED = {"iid": 3, "state": "merged", "source_project_id": 1, "sha": "a" * 40}
PIPELINE = {"id": 8, "sha": "a" * 40, "status": "success"}


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    runner = Runner(tmp_path)
    curl = tmp_path / "tools/curl"
    curl.write_text(CURL)
    curl.chmod(0o755)
    runner.environment |= {
        "CI_API_V4_URL": "https://gitlab.example.com/api/v4",
        "CI_PROJECT_ID": "1",
        "CI_MERGE_REQUEST_IID": "3",
        "CI_MERGE_REQUEST_LABELS": "",
        "CI_COMMIT_SHA": "5" * 40,
        "VSSYNC_MANIFEST": ".",
        "VSSYNC_ENVIRONMENT": "",
        "VSSYNC_VARIABLES": "",
        "VSSYNC_GITLAB_TOKEN": "glpat-x",
    }
    (runner.checkout / "vssync.yaml").write_text("version: 1\nowner: kb\nstores: {docs: {files: [{path: a.md}]}}\n")
    (runner.checkout / "a.md").write_text("text\n")
    return runner


def run_job(runner: Runner, name: str, **environment: str) -> End:
    """A job's script behind what all jobs begin with, in one shell, but for installing."""
    *_installing, common = TEMPLATE[".vssync"]["before_script"]
    (script,) = TEMPLATE[name]["script"]
    return runner.run(f"{common}\n{script}", **environment)


def save_plan(runner: Runner, **environment: str) -> Path:
    assert run_job(runner, "vssync:plan", **environment).code == 0
    saved = runner.state / "plan.json"
    saved.write_text((runner.checkout / ".vssync-plan/plan.json").read_text())
    runner.knows(pulls=[MERGED], runs=[PIPELINE])
    return saved


def test_plan_then_apply_that_plan(runner: Runner) -> None:
    save_plan(runner)
    notes = "https://gitlab.example.com/api/v4/projects/1/merge_requests/3/notes"
    assert runner.asked[-1] == f"POST {notes}"
    assert "1 to add" in json.loads(runner.body)["body"]
    assert json.loads((runner.checkout / ".vssync-plan/plan-gitlab.json").read_text()) == {
        "create": 2,
        "update": 0,
        "delete": 0,
    }
    result = run_job(runner, "vssync:apply")
    assert result.code == 0, result.log


def test_one_note_is_kept_up_to_date(runner: Runner) -> None:
    save_plan(runner)
    body = json.loads(runner.body)["body"]
    runner.knows(comments=[{"id": 1, "author": {"id": 6}, "body": body}, {"id": 2, "author": {"id": 5}, "body": body}])
    assert run_job(runner, "vssync:plan").code == 0
    assert runner.asked[-1].startswith("PUT ")
    assert runner.asked[-1].endswith("/notes/2")


@pytest.mark.parametrize(
    ("pulls", "runs", "says"),
    [
        ([], [PIPELINE], "no plan was reviewed"),
        ([{**MERGED, "source_project_id": 2}], [PIPELINE], "no plan was reviewed"),
        ([{**MERGED, "state": "opened"}], [PIPELINE], "no plan was reviewed"),
        ([MERGED], [{**PIPELINE, "sha": "b" * 40}], "no successful pipeline"),
        ([MERGED], [{**PIPELINE, "status": "failed"}], "no successful pipeline"),
    ],
)
def test_only_a_reviewed_plan_is_applied(runner: Runner, pulls: list[Any], runs: list[Any], says: str) -> None:
    runner.knows(pulls=pulls, runs=runs)
    result = run_job(runner, "vssync:apply")
    assert result.code == 1
    assert says in result.log


def test_other_options_are_refused(runner: Runner) -> None:
    path = save_plan(runner)
    plan = json.loads(path.read_text())
    path.write_text(sealed({**plan, "options": {**plan["options"], "max_delete": {"share": 1.0}}}))
    assert run_job(runner, "vssync:apply").code == 3


GUARDED = """\
version: 1
owner: kb
variables: {lang: {description: of all texts}}
stores: {docs: {attributes: {lang: "${var.lang}"}, files: [{path: "*.md"}]}}
"""


def test_a_label_raises_a_guard_and_variables_are_passed_on(runner: Runner) -> None:
    """The plan made under a label is applied only while the merge request has it."""
    lang = {"VSSYNC_VARIABLES": "lang=en\n"}
    (runner.checkout / "vssync.yaml").write_text(GUARDED)
    for number in range(12):
        (runner.checkout / f"{number}.md").write_text(f"{number}\n")
    save_plan(runner, **lang)
    assert run_job(runner, "vssync:apply", **lang).code == 0
    for number in range(6):
        (runner.checkout / f"{number}.md").unlink()
    refused = run_job(runner, "vssync:plan", **lang)
    assert refused.code == 3
    assert "--max-delete 6" in json.loads(runner.body)["body"]
    assert json.loads((runner.checkout / ".vssync-plan/plan-gitlab.json").read_text())["delete"] == 6
    save_plan(runner, **lang, CI_MERGE_REQUEST_LABELS="docs,vssync/max-delete=50%")
    assert run_job(runner, "vssync:apply", **lang).code == 3
    runner.knows(pulls=[{**MERGED, "labels": ["docs", "vssync/max-delete=50%"]}])
    assert run_job(runner, "vssync:apply").code == 3
    result = run_job(runner, "vssync:apply", **lang)
    assert result.code == 0, result.log


def test_drift_opens_updates_and_closes_one_issue(runner: Runner) -> None:
    issues = "https://gitlab.example.com/api/v4/projects/1/issues"
    assert run_job(runner, "vssync:drift").code == 2
    assert runner.asked[-1] == f"POST {issues}"
    issue = json.loads(runner.body)
    assert issue["description"].startswith("<!-- vssync:drift:kb -->\n")
    runner.knows(issues=[{"iid": 7, "author": {"id": 5}, "description": issue["description"]}])
    assert run_job(runner, "vssync:drift").code == 2
    assert runner.asked[-1] == f"PUT {issues}/7"
    save_plan(runner)
    assert run_job(runner, "vssync:apply").code == 0
    assert run_job(runner, "vssync:drift").code == 0
    assert json.loads(runner.body) == {"state_event": "close"}
    runner.knows(issues=[])
    assert run_job(runner, "vssync:drift").code == 0
    assert runner.asked[-1].startswith("GET ")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("name", ["vssync:plan", "vssync:apply", "vssync:drift"])
def test_the_token_goes_along_with_no_redirect(runner: Runner, name: str, status: int) -> None:
    """With the real `curl`, which would send a header of its user's to any host that an answer names."""
    (runner.checkout.parent / "tools/curl").unlink()
    with listening(lambda _: Sent(200, "[]")) as thief:

        def answer(request: Got) -> Sent:
            return Sent(status, "", {"location": f"{thief.url.replace('127.0.0.1', 'localhost')}{request.target}"})

        with listening(answer) as server:
            result = run_job(runner, name, CI_API_V4_URL=server.url)
    assert result.code != 0  # two `curl` at once write over each other's words, so the log is not looked at
    assert server.got[0].headers["private-token"] == "glpat-x"
    assert thief.got == []


SCRIPTS = [
    *(ROOT / ".github").rglob("*.yml"),
    *(ROOT / ".github").rglob("*.sh"),
    *(ROOT / "examples").rglob("*.yml"),
    ROOT / ".ci/run",
]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_lets_a_redirect_take_a_header_along(path: Path) -> None:
    calls = [line for line in path.read_text().splitlines() if re.search(r"\b(curl|wget)\s+-", line)]
    assert all("--max-redirs 0" in line for line in calls)


def test_a_broken_manifest_fails_with_its_own_code(runner: Runner) -> None:
    (runner.checkout / "vssync.yaml").write_text("version: 1\n")
    assert run_job(runner, "vssync:plan").code == 1
    assert runner.asked == []


def test_a_fork_asks_no_service(runner: Runner) -> None:
    start_repository(runner.checkout, {})
    (runner.checkout / "a.md").write_text("edited\n")
    base = git(runner.checkout, "rev-parse", "HEAD").strip()
    result = run_job(runner, "vssync:against", CI_MERGE_REQUEST_DIFF_BASE_SHA=base)
    assert result.code == 0
    assert "what an apply would do if that is what is live" in result.log
    assert "1 to replace" in result.log
    assert not (runner.checkout / ".vssync").exists()
    assert runner.asked == []
