"""A stranger's pull request: whatever its manifest and names say, it reads, sends and writes nothing it should not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.review.runner import ACTION, Runner
from tests.review.test_github import RUN
from tests.sources.test_git import start_repository

SECRET = "the-secret-of-the-runner"
HEAD = "version: 1\nowner: kb\n"
DATABASE = ("/service.db", "/service.db-wal", "/service.db-journal")
FILES = "stores: {docs: {files: [{path: '**/*.md', optional: true}]}}\n"


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    runner = Runner(tmp_path)
    start_repository(runner.checkout, {"a.md": "harmless\n"})
    runner.environment["AGAINST"] = "HEAD"
    (tmp_path / "secret.md").write_text(SECRET)
    return runner


def run_attack(runner: Runner, manifest: str, mode: str = "against") -> tuple[int, str]:
    """The exit code, and everything a stranger could read afterwards: log, summary, comment, artifact."""
    (runner.checkout / "vssync.yaml").write_text(manifest)
    result = runner.run(RUN, MODE=mode, COMMENT="7", VSSYNC_API_KEY=SECRET)
    readable = [path.read_text() for path in runner.out.glob("*")]
    return result.code, "\n".join([result.log, result.summary, *readable])


@pytest.mark.parametrize("mode", ["against", "plan"])
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
def test_nothing_outside_of_the_checkout_is_read(runner: Runner, manifest: str, mode: str) -> None:
    code, readable = run_attack(runner, manifest, mode)
    assert code == 1
    assert SECRET not in readable
    assert "root:x:0:0" not in readable


def test_a_manifest_that_is_a_link_is_not_read(runner: Runner) -> None:
    (runner.checkout.parent / "secret.md").write_text(f"{SECRET}: 1\n")
    (runner.checkout / "vssync.yaml").symlink_to("../secret.md")
    result = runner.run(RUN, MODE="against")
    assert result.code == 1
    assert SECRET not in result.log + result.summary


@pytest.mark.parametrize("name", [".vssync", *(f".vssync/local{below}" for below in ("", *DATABASE))])
def test_the_local_service_keeps_nothing_outside_of_the_checkout(runner: Runner, tmp_path: Path, name: str) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = runner.checkout / name
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(outside / link.name if "service.db" in name else outside)
    code, readable = run_attack(runner, HEAD + FILES, "plan")
    assert (code, list(outside.iterdir())) == (1, [])
    assert f"{name}: is a link, but must be" in readable


def test_a_plan_leaves_a_checkout_as_it_is(runner: Runner) -> None:
    """Without a local service there, one that is empty is planned for."""
    code, _ = run_attack(runner, HEAD + FILES, "plan")
    assert (code, (runner.checkout / ".vssync").exists()) == (0, False)


def test_no_program_of_the_checkout_is_run_while_installing(runner: Runner, tmp_path: Path) -> None:
    """Python's `-m` looks into the folder it is started in first; the credential is in the environment by then."""
    for name in ("venv", "argparse", "subprocess", "logging"):
        (runner.checkout / f"{name}.py").write_text("open('pwned', 'w')\n")
    action = tmp_path / "action"
    action.mkdir()
    script = f"sed 's/ -m venv / -m venv --without-pip /' '{ACTION}/install.sh' | bash || true"
    runner.run(script, GITHUB_ACTION_PATH=str(action), GITHUB_PATH="/dev/null", PYTHONPATH="")
    assert (tmp_path / "temp/vssync/bin/python3").exists()
    assert not (runner.checkout / "pwned").exists()


@pytest.mark.parametrize("link", ["link.md", "folder"])
def test_links_do_not_lead_out(runner: Runner, link: str) -> None:
    target = runner.checkout.parent if link == "folder" else runner.checkout.parent / "secret.md"
    (runner.checkout / link).symlink_to(target)
    code, readable = run_attack(
        runner, HEAD + f"stores: {{docs: {{files: [{{path: '{link}{'/**' if link == 'folder' else ''}'}}]}}}}\n"
    )
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
def test_no_credential_goes_to_a_host_of_the_manifest(runner: Runner, service: str) -> None:
    code, readable = run_attack(runner, f"{HEAD}service: {service}\n{FILES}", "plan")
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


@pytest.mark.parametrize("mode", ["against", "plan"])
def test_no_name_writes_into_the_comment_or_the_runner(runner: Runner, mode: str) -> None:
    for name in NAMES:
        path = runner.checkout / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("text\n")
    code, readable = run_attack(runner, HEAD + FILES, mode)
    assert code == 0, readable
    stopped = readable.split("::stop-commands::")
    assert not re.search(r"^\s*::(?!stop-commands|[0-9a-f]{32}::)|^##\[", "".join(stopped[:1]), re.MULTILINE)
    comment = (runner.out / "plan.md").read_text()
    assert "script" in comment, "the names are there, as code"
    html = MarkdownIt("commonmark").render(comment)
    outside = re.sub(r"<code[^>]*>.*?</code>", "", html, flags=re.DOTALL)
    assert not re.search(r"<script|<img|onerror|@octocat|Approved|\x1b|\u202e", outside)
    assert comment.count("<!-- vssync:") == 1
    assert not list(runner.checkout.rglob("pwned"))


@pytest.mark.parametrize("mode", ["against", "plan"])
def test_what_an_error_prints_is_no_command_of_the_runner(runner: Runner, mode: str) -> None:
    (runner.checkout / "::add-mask::a.yaml").write_text("stores: [\n")
    _, readable = run_attack(runner, HEAD + "include: ['*add-mask*.yaml']\n", mode)
    token = re.search(r"::stop-commands::([0-9a-f]{32})\n(.*)\n::\1::", readable, re.DOTALL)
    assert token
    assert "::add-mask::" not in readable.replace(token[2], "")
