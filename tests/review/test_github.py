"""The action and the workflow: what they are given, may do and run; the flows themselves are tested in tests/ci."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from tests.review.runner import ACTION, ROOT, Runner, loaded, steps
from vssync.cli.main import cli

WORKFLOW = ROOT / "examples/github/vssync.yml"
GITLAB = ROOT / "examples/gitlab/vssync.gitlab-ci.yml"
FILES = [WORKFLOW, ACTION / "action.yml"]
JOBS = loaded(WORKFLOW)["jobs"]
RUN = next(step for step in steps(ACTION / "action.yml"))["run"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_action_is_pinned_and_no_script_is_built_from_what_others_write(path: Path) -> None:
    for step in steps(path):
        assert "${{" not in step.get("run", "")
        assert re.fullmatch(r"[a-z/-]+[\w./-]*@[0-9a-f]{40}", step.get("uses", f"x@{'0' * 40}"))


def test_permissions_are_the_least() -> None:
    assert loaded(WORKFLOW)["permissions"] == {}
    rights = {name: job["permissions"] for name, job in JOBS.items()}
    read = {"contents": "read", "actions": "read"}
    assert rights == {
        "plan": {**read, "pull-requests": "write"},
        "apply": {**read, "deployments": "read", "pull-requests": "write"},
        "drift": {"contents": "read", "issues": "write"},
        "preview": {"contents": "read", "pull-requests": "write"},
        "sweep": {"contents": "read", "pull-requests": "write"},
    }


def test_keys_are_those_of_environments_and_only_the_default_branch_has_the_one_that_writes() -> None:
    assert {name: job["environment"] for name, job in JOBS.items()} == {
        "plan": "vssync-plan",
        "apply": "vssync",
        "drift": "vssync-plan",
        "preview": "vssync-preview",
        "sweep": "vssync-preview",
    }
    assert set(re.findall(r"secrets\.(\w+)", WORKFLOW.read_text())) == {"VSSYNC_API_KEY"}
    assert "pull_request_target" not in loaded(WORKFLOW)["on"]
    assert "pull_request" not in JOBS["apply"]["if"]
    assert "head.repo.full_name == github.repository" in JOBS["preview"]["if"]
    assert loaded(WORKFLOW)["on"]["push"] == {"branches": ["main"]}


def test_each_job_has_all_of_the_history_and_no_credential_in_its_checkout() -> None:
    checkouts = [step["with"] for step in steps(WORKFLOW) if "checkout" in step["uses"]]
    assert checkouts == [{"fetch-depth": 0, "persist-credentials": False}] * len(JOBS)


def test_workflows_of_other_names_do_not_wait_for_each_other_and_applies_are_not_cancelled() -> None:
    groups = {name: job["concurrency"] for name, job in JOBS.items()}
    assert all(group["group"].startswith("${{ github.workflow }}-") for group in groups.values())
    assert {name for name, group in groups.items() if group["cancel-in-progress"]} == {"plan"}


COMMANDS = [
    *(f"vssync ci {step['with']['run']}" for step in steps(WORKFLOW) if "run" in step.get("with", {})),
    *(line for job in loaded(GITLAB).values() if "script" in job for line in job["script"]),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_what_they_run_is_a_command(command: str) -> None:
    program, name, *arguments = shlex.split(command)
    assert (program, name) == ("vssync", "ci")
    cli.commands[name].make_context(name, arguments, parent=click.Context(cli))


def test_the_deployment_is_that_of_the_environment() -> None:
    run = next(step["with"]["run"] for step in JOBS["apply"]["steps"] if "run" in step.get("with", {}))
    assert run == f"apply --deployment {JOBS['apply']['environment']}"


@pytest.mark.jq
def test_no_program_of_the_checkout_is_run_and_words_are_only_words(tmp_path: Path) -> None:
    """Python's `-m` looks into the folder it is started in first; the credential is in the environment by then."""
    runner = Runner(tmp_path)
    for name in ("venv", "argparse", "subprocess", "logging"):
        (runner.checkout / f"{name}.py").write_text("open('pwned', 'w')\n")
    bin_ = tmp_path / "temp/vssync/bin"
    script = RUN.replace(" -m venv ", " -m venv --without-pip ").replace(
        '"$RUNNER_TEMP/vssync/bin/pip" install --quiet "$GITHUB_ACTION_PATH/../../..$EXTRAS"',
        f"printf '#!/bin/sh\\nprintf \"<%%s>\" \"$@\"\\n' >'{bin_}/vssync'; chmod +x '{bin_}/vssync'",
    )
    code, output = runner.run(script, RUN="apply -f 'a;b' $(touch pwned)", EXTRAS="", GITHUB_ACTION_PATH=str(ACTION))
    assert (code, output) == (0, "<ci><apply><-f><'a;b'><$(touch><pwned)>")
    assert not (runner.checkout / "pwned").exists()


def test_of_gitlab_only_protected_variables_can_write() -> None:
    jobs = {name: job for name, job in loaded(GITLAB).items() if name.startswith("vssync:")}
    assert {name: job["environment"].get("action", "start") for name, job in jobs.items()} == {
        "vssync:plan": "access",  # a deployment would pass for what was applied
        "vssync:apply": "start",
        "vssync:drift": "access",
        "vssync:preview": "start",
        "vssync:preview:stop": "stop",
        "vssync:sweep": "access",
    }
    previews = [job["environment"]["name"] for name, job in jobs.items() if "preview" in name or "sweep" in name]
    assert all(name.startswith("vssync/preview/") for name in previews), "whose key reaches previews only"
    assert loaded(GITLAB)[".vssync"]["variables"] == {"GIT_DEPTH": "0"}
    assert "$VSSYNC_FILE-$VSSYNC_ENV" in jobs["vssync:apply"]["resource_group"]
    assert "scope `read_api`" in GITLAB.read_text()


@pytest.mark.parametrize(
    "path", [*(ROOT / ".github").rglob("*.sh"), *(ROOT / "examples").rglob("*.yml"), ROOT / ".ci/run"], ids=str
)
def test_no_script_lets_a_redirect_take_a_header_along(path: Path) -> None:
    calls = [line for line in path.read_text().splitlines() if re.search(r"\b(curl|wget)\s+-", line)]
    assert all("--max-redirs 0" in line for line in calls)


def test_each_event_starts_the_jobs_that_are_for_it() -> None:
    """`labeled` and `unlabeled` make no preview, and `closed` no plan."""
    types = loaded(WORKFLOW)["on"]["pull_request"]["types"]
    assert "closed" in types
    assert "action != 'closed'" in JOBS["plan"]["if"]
    assert "!endsWith(github.event.action, 'labeled')" in JOBS["preview"]["if"]
    assert {name for name in JOBS if "schedule" in JOBS[name]["if"]} == {"drift", "sweep"}
