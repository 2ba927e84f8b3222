"""What a job's variables say, and what it leaves for its forge's pages."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.ci.fake_github import REPOSITORY, FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.support import Silent
from vssync.ci.forge import CiEvent, EventKind, Severity, open_forge
from vssync.ci.gitlab import FOLDER
from vssync.commands.ci.job import CiRun
from vssync.commands.ci.run import JOBS, check_event, run_job
from vssync.commands.session import Settings
from vssync.errors import UsageProblem
from vssync.render.layout import View
from vssync.render.markdown import fit_markdown
from vssync.text import size_in_utf16

ZEROS = "0" * 40
PULL = {
    "number": 7,
    "user": {"login": "mona"},
    "base": {"ref": "main", "sha": "ba5e", "repo": {"id": 1}},
    "head": {"ref": "a\"b'$(x)", "sha": "4ead", "repo": {"id": 1}},
}
QUEUE = {"base_ref": "refs/heads/main", "base_sha": "ba5e", "head_sha": "4ead"}
GITHUB: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("push", {"before": "b4"}, {"kind": EventKind.PUSH, "before": "b4", "branch": "main", "is_default_branch": True}),
    ("push", {"before": ZEROS}, {"before": ""}),
    ("push", {"repository": {"default_branch": "trunk"}}, {"is_default_branch": False}),
    ("schedule", {"repository": None}, {"kind": EventKind.SCHEDULE, "is_default_branch": True, "unexplained": False}),
    ("workflow_dispatch", {"inputs": None}, {"kind": EventKind.MANUAL, "unexplained": False}),
    ("workflow_dispatch", {"inputs": {"unexplained": "true"}}, {"unexplained": True}),
    ("workflow_dispatch", {"inputs": {"unexplained": "false"}}, {"unexplained": False}),
    ("push", {"inputs": {"unexplained": "true"}}, {"unexplained": False}),
    (
        "pull_request",
        {"pull_request": PULL},
        {"kind": EventKind.PULL_REQUEST, "number": 7, "author": "mona", "branch": "main", "base_sha": "ba5e"}
        | {"head_sha": "4ead", "is_fork": False, "is_default_branch": False},
    ),
    ("pull_request", {"pull_request": PULL | {"head": {"sha": "4ead", "repo": {"id": 2}}}}, {"is_fork": True}),
    ("pull_request", {"pull_request": PULL | {"head": {"sha": "4ead", "repo": None}}}, {"is_fork": True}),
    (
        "merge_group",
        {"merge_group": QUEUE},
        {"kind": EventKind.PULL_REQUEST, "number": None, "branch": "main", "base_sha": "ba5e", "is_fork": False},
    ),
]


@pytest.mark.parametrize(("name", "payload", "expected"), GITHUB)
def test_a_github_event(tmp_path: Path, name: str, payload: dict[str, Any], expected: dict[str, Any]) -> None:
    event = FakeGitHub().open_job(tmp_path, name, **payload).event
    assert {field: getattr(event, field) for field in expected} == expected
    assert (event.actor, event.run_url) == ("mona", f"https://github.com/{REPOSITORY}/actions/runs/77")


REQUEST = {
    "CI_MERGE_REQUEST_IID": "7",
    "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
    "CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "5",
    "CI_MERGE_REQUEST_PROJECT_ID": "5",
    "CI_MERGE_REQUEST_DIFF_BASE_SHA": "ba5e",
    "CI_COMMIT_BRANCH": "",
}
MERGED_RESULTS = {"CI_MERGE_REQUEST_TARGET_BRANCH_SHA": "7a46", "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": "4ead"}
GITLAB: list[tuple[str, Mapping[str, str], dict[str, Any]]] = [
    ("push", {"CI_COMMIT_BEFORE_SHA": "b4"}, {"kind": EventKind.PUSH, "before": "b4", "is_default_branch": True}),
    ("push", {"CI_COMMIT_BEFORE_SHA": ZEROS}, {"before": ""}),
    ("push", {"CI_COMMIT_BRANCH": ""}, {"is_default_branch": False}),  # a tag
    ("push", {"VSSYNC_UNEXPLAINED": "true"}, {"unexplained": False}),  # as `git push -o ci.variable` can do
    ("schedule", {"VSSYNC_UNEXPLAINED": "true"}, {"kind": EventKind.SCHEDULE, "unexplained": False}),
    ("web", {"VSSYNC_UNEXPLAINED": "true"}, {"kind": EventKind.MANUAL, "unexplained": True}),
    ("web", {}, {"kind": EventKind.MANUAL, "unexplained": False}),
    ("merge_request_event", REQUEST, {"number": 7, "branch": "main", "base_sha": "ba5e", "head_sha": "c0ffee"}),
    ("merge_request_event", REQUEST | MERGED_RESULTS, {"base_sha": "7a46", "head_sha": "4ead", "is_fork": False}),
    ("merge_request_event", REQUEST | {"CI_MERGE_REQUEST_SOURCE_PROJECT_ID": "9"}, {"is_fork": True}),
]


@pytest.mark.parametrize(("source", "variables", "expected"), GITLAB)
def test_a_gitlab_event(tmp_path: Path, source: str, variables: Mapping[str, str], expected: dict[str, Any]) -> None:
    event = FakeGitLab().open_job(tmp_path, source, **variables).event
    assert {field: getattr(event, field) for field in expected} == expected


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({}, "neither GITHUB_ACTIONS nor GITLAB_CI is `true`"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "pull_request_target"}, "runs a stranger's files beside your"),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "issues"}, "run this on pull_request, "),
        ({"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push"}, "GITHUB_EVENT_PATH: cannot be read"),
        (
            {"GITHUB_ACTIONS": "true", "GITHUB_EVENT_NAME": "push", "GITHUB_EVENT_PATH": "EVENT"},
            "GITHUB_REPOSITORY: `` is not owner/name",
        ),
        (
            {"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "parent_pipeline"},
            "run this in pipelines of merge_request_event",
        ),
        ({"GITLAB_CI": "true", "CI_PIPELINE_SOURCE": "push"}, "CI_API_V4_URL: is not set"),
    ],
)
def test_a_job_of_no_use_is_told(tmp_path: Path, environ: dict[str, str], message: str) -> None:
    (tmp_path / "event.json").write_text("{}")
    if environ.get("GITHUB_EVENT_PATH"):
        environ = environ | {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")}
    with pytest.raises(UsageProblem) as caught:
        open_forge(FakeGitHub().job(environ))
    assert message in str(caught.value)


EVENTS: dict[tuple[str, str], str] = {  # of each forge and event, the jobs that are for it
    ("GitHub", "pull_request"): "plan preview",
    ("GitHub", "merge_group"): "plan",
    ("GitHub", "push"): "apply",
    ("GitHub", "push elsewhere"): "",
    ("GitHub", "schedule"): "drift sweep",
    ("GitHub", "workflow_dispatch"): "apply drift sweep",
    ("GitHub", "workflow_dispatch elsewhere"): "drift",
    ("GitLab", "merge_request_event"): "plan preview",
    ("GitLab", "push"): "apply",
    ("GitLab", "push elsewhere"): "",
    ("GitLab", "schedule"): "drift sweep",
    ("GitLab", "schedule elsewhere"): "drift",
    ("GitLab", "web"): "apply drift sweep",
    ("GitLab", "web elsewhere"): "drift",
    ("GitLab", "api"): "apply drift sweep",
    ("GitLab", "api elsewhere"): "drift",
}


def event_of(folder: Path, forge: str, name: str) -> CiEvent:
    name, _, elsewhere = name.partition(" ")
    if forge == "GitLab":
        variables = REQUEST if name == "merge_request_event" else {"CI_DEFAULT_BRANCH": "trunk"} if elsewhere else {}
        return FakeGitLab().open_job(folder, name, **variables).event
    payload: dict[str, Any] = {"merge_group": QUEUE}
    if name == "pull_request":
        payload = {"pull_request": PULL}
    payload["repository"] = {"default_branch": "trunk" if elsewhere else "main"}
    return FakeGitHub().open_job(folder, name, **payload).event


@pytest.mark.parametrize(("forge", "name"), EVENTS)
def test_each_job_is_for_some_events_and_names_another_one_as_its_forge_does(
    tmp_path: Path, forge: str, name: str
) -> None:
    event, fitting, said = event_of(tmp_path, forge, name), list[str](), list[str]()
    for job in JOBS:
        try:
            check_event(job, event)
            fitting.append(job)
        except UsageProblem as error:
            said.append(str(error))
    assert " ".join(fitting) == EVENTS[forge, name]
    assert all(f", not for `{event.name}` on `main`; see `vssync ci --help`" in text for text in said)
    assert event.name == name.partition(" ")[0]


def test_a_job_for_another_event_asks_nobody(tmp_path: Path) -> None:
    fake = FakeGitHub()
    forge = fake.open_job(tmp_path, "merge_group", merge_group=QUEUE)
    run = CiRun(forge, Settings(), datetime.now(UTC), fake.printed.append, lambda: nullcontext(Silent()), View())
    with pytest.raises(UsageProblem, match="ci preview: is for pull requests, not for `merge_group` on `main`"):
        run_job("preview", run)
    assert fake.requests == fake.printed == []


# What a job leaves


def test_github_annotations_cannot_be_forged(tmp_path: Path) -> None:
    fake = FakeGitHub()
    forge = fake.open_job(tmp_path)
    forge.annotate(Severity.ERROR, "100%\n::set-env name=X::1", file="a,b:c\n.md", line=3)
    forge.annotate(Severity.NOTICE, "done", line=3)
    assert fake.printed == [
        "::error file=a%2Cb%3Ac%0A.md,line=3::100%25%0A::set-env name=X::1",
        "::notice::done",
    ]


def test_github_outputs_cannot_be_forged(tmp_path: Path) -> None:
    forge = FakeGitHub().open_job(tmp_path)
    forge.set_output("changes", "true\nEOF\nother=1")
    name, *value, end, _ = (tmp_path / "output").read_text().split("\n")
    assert value == ["true", "EOF", "other=1"]
    assert name == f"changes<<{end}"
    assert len(end) > 30


def test_the_github_summary_stays_within_its_size(tmp_path: Path) -> None:
    forge = FakeGitHub().open_job(tmp_path)
    forge.write_summary("# one\n")
    for _ in range(3):
        forge.write_summary("é" * 300 + "\n\n" + "## next\n\ntext ü\n\n" * 30_000)
    text = (tmp_path / "summary.md").read_text()
    assert text.startswith("# one\n")
    assert len(text.encode()) <= 1 << 20
    assert text.rstrip().endswith("Cut: the job's log has all.")


def test_gitlab_leaves_files_for_its_reports(tmp_path: Path) -> None:
    fake = FakeGitLab()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / FOLDER).symlink_to(elsewhere)  # a commit may bring it
    forge = fake.open_job(tmp_path)
    forge.write_summary("# one")
    forge.write_summary("two")
    forge.annotate(Severity.ERROR, "wrong\n", file="kb/vssync.yaml", line=3)
    forge.annotate(Severity.WARNING, "odd")
    forge.set_output("store-id", "vs_1\nX=2")
    folder = tmp_path / FOLDER
    assert (folder / "summary.md").read_text() == "# one\ntwo\n"
    (finding,) = json.loads((folder / "code-quality.json").read_text())
    assert (finding["location"], finding["severity"]) == (
        {"path": "kb/vssync.yaml", "lines": {"begin": 3}},
        "critical",
    )
    assert (folder / "output.env").read_text() == "VSSYNC_STORE_ID=vs_1\\nX=2\n"
    assert fake.printed == ["kb/vssync.yaml:3: error: wrong\\n", "warning: odd"]
    assert not any(elsewhere.iterdir())


# Where a body is cut

TITLE = "<!-- m -->\n### title\n"
FENCE = "````text\na\n\n```\n\nb\n````\n"
DETAILS = "<details><summary>s</summary>\n\n| a |\n|---|\n\n</details>\n"


@pytest.mark.parametrize(
    ("text", "most", "expected"),
    [
        (f"{TITLE}\nshort\n", 100, f"{TITLE}\nshort\n"),
        (f"{TITLE}\none\n\n{'x' * 100}", 60, f"{TITLE}\none\n\nEND"),
        (f"{TITLE}\n{FENCE}\nmore {'x' * 100}", 50, f"{TITLE}\nEND"),  # not within a fence
        (f"{TITLE}\n{FENCE}\nmore {'x' * 100}", 80, f"{TITLE}\n{FENCE}\nEND"),
        (f"{TITLE}\n{DETAILS}\n{'x' * 100}", 70, f"{TITLE}\nEND"),  # nor within details
        (f"{TITLE}\n{DETAILS}\n{'x' * 100}", 100, f"{TITLE}\n{DETAILS}\nEND"),
        (f"<!-- m -->\n{'x' * 100}", 40, "<!-- m -->\n\nEND"),
        (f"{TITLE}\n{'😀' * 20}\n\n{'x' * 100}", 60, f"{TITLE}\nEND"),  # counted as two each
    ],
)
def test_a_body_is_cut_between_blocks(text: str, most: int, expected: str) -> None:
    assert fit_markdown(text, most, "END") == expected
    assert size_in_utf16(expected) <= most
