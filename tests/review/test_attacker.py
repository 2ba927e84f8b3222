"""A stranger's pull request: whatever its manifest and names say, it reads, sends and writes nothing it should not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from tests.ci.fake_github import WORKFLOW, FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.ci.project import End, Project
from tests.ci.repository import MANIFEST, NO_FILES, Files

SECRET = "the-secret-of-the-runner"
HEAD = "version: 1\nowner: kb\n"
DATABASE = ("/service.db", "/service.db-wal", "/service.db-journal")
FILES = "stores: {docs: {files: [{path: '**/*.md', optional: true}]}}\n"
FORK_OR_NOT = pytest.mark.parametrize("fork", [True, False])


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    (tmp_path / "secret.md").write_text(SECRET)
    project = Project(tmp_path, FakeGitHub(), {"a.md": "harmless\n"}, monkeypatch)
    project.settings["environment"] = {"VSSYNC_API_KEY": SECRET}
    return project


def run_attack(project: Project, manifest: str, *, fork: bool, files: Files = NO_FILES) -> tuple[int, str]:
    """The exit code, and everything a stranger could read afterwards: log, summary, comment."""
    project.open(7, {"vssync.yaml": manifest, **files}, author="mallory", fork=fork)
    return all_readable(project, project.review(7))


def all_readable(project: Project, end: End) -> tuple[int, str]:
    return end.code, "\n".join([end.log, end.error, end.summary, end.outputs, *project.comments(7)])


@pytest.mark.wide(3)
@FORK_OR_NOT
@pytest.mark.parametrize(
    "manifest",
    [
        HEAD + "stores: {docs: {files: [{path: ../secret.md}]}}\n",
        HEAD + "stores: {docs: {files: [{path: /etc/passwd}]}}\n",
        HEAD + "stores: {docs: {files: [{path: 'x/../../secret.md'}]}}\n",
        HEAD + "root: ..\n" + FILES,
        HEAD + "root: /\n" + FILES,
        HEAD + "include: [../*.yaml]\n" + FILES,
        HEAD + "stores: {docs: {files: [{path: .git/config}]}}\n",
    ],
)
def test_nothing_outside_of_the_checkout_is_read(project: Project, manifest: str, *, fork: bool) -> None:
    code, readable = run_attack(project, manifest, fork=fork)
    assert code == 1
    assert SECRET not in readable
    assert "root:x:0:0" not in readable


def test_a_manifest_that_is_a_link_is_not_read(project: Project) -> None:
    (project.folder / "secret.md").write_text(f"{SECRET}: 1\n")
    project.open(7, {})
    project.link("vssync.yaml", "../secret.md")
    project.push(7, {})
    code, readable = all_readable(project, project.review(7))
    assert code == 1
    assert SECRET not in readable


@pytest.mark.parametrize("name", [".vssync", *(f".vssync/local{below}" for below in ("", *DATABASE))])
def test_the_local_service_keeps_nothing_outside_of_the_checkout(project: Project, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    project.open(7, {"vssync.yaml": HEAD + FILES})
    project.link(name, str(outside / Path(name).name if "service.db" in name else outside))
    code, readable = all_readable(project, project.review(7))
    assert (code, list(outside.iterdir())) == (1, [])
    assert f"{name}: is a link, but must be" in readable


def test_a_plan_leaves_a_checkout_as_it_is(project: Project) -> None:
    """Without a local service there, one that is empty is planned for."""
    code, _ = run_attack(project, HEAD + FILES, fork=False)
    assert (code, (project.tree / ".vssync").exists()) == (0, False)


@pytest.mark.parametrize("link", ["link.md", "folder"])
def test_links_do_not_lead_out(project: Project, link: str) -> None:
    project.open(7, {})
    project.link(link, str(project.folder if link == "folder" else project.folder / "secret.md"))
    pattern = f"{link}/**" if link == "folder" else link
    project.push(7, {"vssync.yaml": HEAD + f"stores: {{docs: {{files: [{{path: '{pattern}'}}]}}}}\n"})
    code, readable = all_readable(project, project.review(7))
    assert code == 1
    assert SECRET not in readable


@pytest.mark.parametrize(
    "service",
    [
        "{provider: compatible, data_url: 'https://evil.example.com/v1'}",
        "{provider: openai, data_url: 'https://evil.example.com/v1'}",
        "{provider: local, data_url: 'https://evil.example.com/v1'}",
        "{provider: compatible, data_url: 'http://169.254.169.254/latest'}",
        "{provider: compatible, data_url: 'https://api.openai.com@evil.example.com/v1'}",
        "{provider: oci, region: 'evil.example.com/#', project: p, compartment: c, auth: bearer}",
    ],
)
def test_no_credential_goes_to_a_host_of_the_manifest(project: Project, service: str) -> None:
    code, readable = run_attack(project, f"{HEAD}service: {service}\n{FILES}", fork=False)
    assert code == 1
    assert SECRET not in readable
    assert not re.search(r"connect|resolve|timed out", readable), "it was not even tried"


NAMES = [
    "::add-mask::x.md",
    "::error::owned.md",
    "##[error]owned.md",
    "-->\n<script>alert(1)</script>.md",
    "```\n# Approved by @octocat\n```.md",
    "</code><img src=x onerror=alert(1)>.md",
    "</summary></details><script>.md",
    "`````.md",
    "\r::set-output name=changes::false.md",
    "a\u2028::error::b.md",
    "@octocat fixes #1 ![x](https:evil).md",
    "\x1b[2Jcleared.md",
    "\u202etxt.md",
    "$(touch pwned)`touch pwned`.md",
]


@FORK_OR_NOT
def test_no_name_writes_into_the_comment_or_the_runner(project: Project, *, fork: bool) -> None:
    said: list[str] = []
    project.given["say"] = said.append
    code, readable = run_attack(project, HEAD + FILES, fork=fork, files=dict.fromkeys(NAMES, "text\n"))
    assert code == 0, readable
    assert said
    assert not re.search(r"^\s*::|##\[", "\n".join(said), re.MULTILINE)
    (comment,) = project.comments(7)
    assert "script" in comment, "the names are there, as code"
    html = MarkdownIt("commonmark").render(comment)
    outside = re.sub(r"<code[^>]*>.*?</code>|href=\"[^\"]*\"", "", html, flags=re.DOTALL)
    assert not re.search(r"<script|<img|onerror|@octocat|Approved|\x1b|\u202e", outside)
    assert comment.count("<!-- vssync:") == 1
    assert not list(project.tree.rglob("pwned"))


@FORK_OR_NOT
def test_an_error_is_one_command_of_the_runner(project: Project, *, fork: bool) -> None:
    files = {"::add-mask::a.yaml": "stores: [\n", "x\n::add-mask::b.yaml": "stores: [\n"}
    run_attack(project, HEAD + "include: ['*add-mask*.yaml']\nstores: {}\n", fork=fork, files=files)
    assert any("add-mask" in line for line in project.fake.printed), project.fake.printed
    for line in project.fake.printed:
        assert re.fullmatch(r"::(error|warning)( file=[^:,\r\n]*(,line=\d+)?)?::[^\r\n]*", line), line


# A deployment that whoever can push recorded, to have a commit's raised limit taken for one that holds already

OWN, MAIN = "c0de" * 10, "7a11" * 10  # the last commit of a branch that was merged, and what the default branch became


def delete_run(fake: FakeGitHub) -> None:
    fake.deploy("kb", MAIN)
    fake.runs.pop()


GITHUB_FORGERIES: dict[str, Callable[[FakeGitHub], object]] = {
    "a record without a run": lambda f: f.record_deployment("kb", MAIN, "success"),
    "another workflow": lambda f: f.deploy("kb", MAIN, path=".github/workflows/mine.yml"),
    "a workflow of a name that begins the same": lambda f: f.deploy("kb", MAIN, path=f"{WORKFLOW}.yml"),
    "a workflow in another folder": lambda f: f.deploy("kb", MAIN, path=f"x/{WORKFLOW}"),
    "a run that does not say its workflow": lambda f: f.deploy("kb", MAIN, path=""),
    "another branch": lambda f: f.deploy("kb", MAIN, head_branch="mine"),
    "a pull request": lambda f: f.deploy("kb", MAIN, event="pull_request"),
    "a schedule": lambda f: f.deploy("kb", MAIN, event="schedule"),
    "a run of another commit": lambda f: f.deploy("kb", MAIN, head_sha=OWN),
    "a run that failed": lambda f: f.deploy("kb", MAIN, conclusion="failure"),
    "a run that was cancelled": lambda f: f.deploy("kb", MAIN, conclusion="cancelled"),
    "a run that goes on": lambda f: f.deploy("kb", MAIN, conclusion=""),
    "a run whose deployment failed": lambda f: f.deploy("kb", MAIN, "failure", "in_progress"),
    "a run that was deleted": delete_run,
    "a run of another environment": lambda f: f.deploy("staging", MAIN),
    "a tag with the branch's name at a merged commit": lambda f: f.deploy("kb", OWN),
}
GITLAB_FORGERIES: dict[str, Callable[[FakeGitLab], object]] = {
    "a record without a job": lambda f: f.record_deployment("kb", MAIN),
    "another branch": lambda f: f.deploy("kb", MAIN, ref="mine"),
    "a merge request": lambda f: f.deploy("kb", MAIN, ref="refs/merge-requests/7/head"),
    "a pipeline that a merge request started": lambda f: f.deploy("kb", MAIN, source="merge_request_event"),
    "a schedule": lambda f: f.deploy("kb", MAIN, source="schedule"),
    "a tag with the branch's name": lambda f: f.deploy("kb", MAIN, tag=True),
    "a job of another commit": lambda f: f.deploy("kb", MAIN, commit=OWN),
    "a job that failed": lambda f: f.record_deployment("kb", MAIN, "success", {"status": "failed", "ref": "main"}),
    "a job of another environment": lambda f: f.deploy("staging", MAIN),
}
FORGERIES = [
    *(pytest.param(FakeGitHub, forge, id=f"GitHub, {name}") for name, forge in GITHUB_FORGERIES.items()),
    *(pytest.param(FakeGitLab, forge, id=f"GitLab, {name}") for name, forge in GITLAB_FORGERIES.items()),
]
BOTH = pytest.mark.parametrize("kind", [FakeGitHub, FakeGitLab])


@pytest.mark.parametrize(("kind", "record"), FORGERIES)
def test_a_forged_deployment_does_not_count(
    tmp_path: Path, kind: type[FakeGitHub | FakeGitLab], record: Callable[[Any], object]
) -> None:
    """Neither alone, where a warning says so, nor in place of an earlier one that is true."""
    fake = kind()
    fake.move_main(MAIN)
    record(fake)
    assert fake.open_job(tmp_path).last_deployment("kb") is None
    said = "no deployment to `kb` counts: none was made by a successful run of this workflow on `main`"
    assert (said in "\n".join(fake.printed)) == any(each["environment"] == "kb" for each in fake.deployments)
    fake = kind()
    fake.move_main("true")
    fake.deploy("kb", "true")
    fake.move_main(MAIN)
    record(fake)
    assert fake.open_job(tmp_path).last_deployment("kb") == "true"


@BOTH
def test_only_a_true_deployment_makes_a_raised_limit_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[FakeGitHub | FakeGitLab]
) -> None:
    pages = {f"docs/{number}.md": "x\n" for number in range(12)}
    project = Project(tmp_path, kind(), {"vssync.yaml": MANIFEST, **pages}, monkeypatch)
    project.given["deployment"] = "kb"
    assert project.job("apply").code == 0
    raised = MANIFEST.replace("{files", "{guards: {max_delete: 100%}, files")
    project.open(7, {"vssync.yaml": raised, **dict.fromkeys(list(pages)[:8])}, author="mallory")
    project.merge(7)
    merged = project.head
    project.fake.record_deployment("kb", merged, "success")
    project.commit()
    end = project.job("apply")
    assert (end.code, "limit 30%" in end.log, "no deployment to `kb` counts" in end.log) == (3, True, True)
    project.deploy("kb", merged)
    assert project.job("apply", before=merged).code == 0, "it is where the limit comes from"
