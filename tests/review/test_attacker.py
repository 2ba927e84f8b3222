"""A stranger's pull request: whatever its manifest and names say, it reads, sends and writes nothing it should not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.ci.fake_github import FakeGitHub
from tests.ci.project import End, Project
from tests.ci.repository import Files

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


def run_attack(project: Project, manifest: str, *, fork: bool, files: Files = {}) -> tuple[int, str]:  # noqa: B006
    """The exit code, and everything a stranger could read afterwards: log, summary, comment."""
    project.open(7, {"vssync.yaml": manifest, **files}, author="mallory", fork=fork)
    return all_readable(project, project.review(7))


def all_readable(project: Project, end: End) -> tuple[int, str]:
    return end.code, "\n".join([end.log, end.error, end.summary, end.outputs, *project.comments(7)])


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
