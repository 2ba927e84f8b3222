"""The scheduled workflows: what they run, and the issue that tells when that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.review.runner import BOT, ROOT, Runner, loaded, steps

WORKFLOWS = {name: ROOT / f".github/workflows/{name}.yml" for name in ("weekly", "nightly")}
TELL = f"bash {ROOT}/.ci/tell"
RUN = "https://github.com/acme/kb/actions/runs/41"
OPEN: dict[str, Any] = {"number": 5, "user": BOT}


def test_the_newest_and_the_lowest_run_weekly() -> None:
    matrix = loaded(WORKFLOWS["weekly"])["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert [row["versions"] for row in matrix] == ["newest", "lowest"]
    run = [step["run"] for step in steps(WORKFLOWS["weekly"]) if "run" in step]
    assert run == ['.ci/run "--$VERSIONS"', ".ci/tell"]


def test_every_night_has_other_seeds() -> None:
    assert [step["run"] for step in steps(WORKFLOWS["nightly"]) if "NUMBER" in step.get("run", "")] == [
        'python -m tests.fuzz --runs 20000 --seed "$GITHUB_RUN_NUMBER"',
        'python -m tests.simulation --seeds 5000 --first "$((GITHUB_RUN_NUMBER * 5000))"',
    ]


def test_tests_and_the_simulator_have_to_catch_every_mutant_nightly() -> None:
    job = loaded(WORKFLOWS["nightly"])["jobs"]["mutants"]
    assert job["strategy"]["matrix"]["by"] == ["tests", "simulation"]
    assert 'python tests/mutants/run.py "--$BY"' in [step.get("run") for step in job["steps"]]


@pytest.mark.parametrize("path", WORKFLOWS.values(), ids=WORKFLOWS)
def test_every_job_that_fails_is_told(path: Path) -> None:
    *others, tell = loaded(path)["jobs"]
    job = loaded(path)["jobs"][tell]
    needs = [job["needs"]] if isinstance(job["needs"], str) else job["needs"]
    assert (tell, needs, job["if"]) == ("tell", others, "failure()")
    assert loaded(path)["name"] == path.stem  # which the script is told by


@pytest.mark.jq
@pytest.mark.parametrize("workflow", WORKFLOWS)
@pytest.mark.parametrize(
    ("issue", "path"),
    [
        (None, "issues"),
        (OPEN | {"body": "<!-- vssync:{} -->\nIt failed."}, "issues/5/comments"),
        (OPEN | {"body": "<!-- vssync:{} -->\nIt failed.", "user": {"login": "somebody"}}, "issues"),
        (OPEN | {"body": "<!-- vssync:drift:kb -->"}, "issues"),
        (OPEN | {"body": "<!-- vssync:monthly -->"}, "issues"),
    ],
)
def test_one_issue_is_open_while_it_fails(
    tmp_path: Path, workflow: str, issue: dict[str, Any] | None, path: str
) -> None:
    runner = Runner(tmp_path)
    runner.knows([issue | {"body": issue["body"].replace("{}", workflow)}] if issue else [])
    assert runner.run(TELL, RUN=RUN, GITHUB_WORKFLOW=workflow)[0] == 0
    (written,) = (call for call in runner.asked if "--method" in call)
    assert written.startswith(f"api --method POST repos/acme/kb/{path} ")
    assert runner.body.startswith(f"<!-- vssync:{workflow} -->\n")
    assert RUN in runner.body
