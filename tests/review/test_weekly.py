"""The weekly workflow: what it runs, and the issue that tells when that failed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.review.runner import BOT, ROOT, Runner, loaded, steps

WEEKLY = ROOT / ".github/workflows/weekly.yml"
TELL = f"bash {ROOT}/.ci/tell"
RUN = "https://github.com/acme/kb/actions/runs/41"
ISSUE: dict[str, Any] = {"number": 5, "user": BOT, "body": "<!-- vssync:weekly -->\nIt failed."}


def test_it_runs_the_newest_and_the_lowest() -> None:
    matrix = loaded(WEEKLY)["jobs"]["test"]["strategy"]["matrix"]["include"]
    assert [row["versions"] for row in matrix] == ["newest", "lowest"]
    assert [step["run"] for step in steps(WEEKLY) if "run" in step] == ['.ci/run "--$VERSIONS"', ".ci/tell"]


@pytest.mark.parametrize(
    ("issues", "path"),
    [
        ([], "issues"),
        ([ISSUE], "issues/5/comments"),
        ([ISSUE | {"user": {"login": "somebody"}}], "issues"),
        ([ISSUE | {"body": "<!-- vssync:drift:kb -->"}], "issues"),
    ],
)
def test_one_issue_is_open_while_it_fails(tmp_path: Path, issues: list[dict[str, Any]], path: str) -> None:
    runner = Runner(tmp_path)
    runner.knows(issues)
    assert runner.run(TELL, RUN=RUN)[0] == 0
    (written,) = (call for call in runner.asked if "--method" in call)
    assert written.startswith(f"api --method POST repos/acme/kb/{path} ")
    assert runner.body.startswith("<!-- vssync:weekly -->\n")
    assert RUN in runner.body
