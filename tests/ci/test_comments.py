"""One comment and one issue, whatever happened to them: on both forges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.ci.fake_forge import FakeForge, Trouble
from tests.ci.fake_github import BOT, WORKFLOW, FakeGitHub
from tests.ci.fake_gitlab import TOKEN_USER, FakeGitLab
from vssync.ci.forge import Forge
from vssync.errors import ForgeDenied, ForgeError

MARKER = "<!-- vssync:plan:acme -->"


class World:
    """A forge with a request 7, and what stands on it."""

    def __init__(self, fake: FakeGitHub | FakeGitLab, folder: Path) -> None:
        self.fake: FakeForge = fake
        self.forge: Forge = fake.open_job(folder)
        self.write: Callable[[int, str, str], int]
        if isinstance(fake, FakeGitHub):
            fake.open_pull(7, "mona", "kb", "b1")
            self.own, self.write, self.comments = BOT, fake.comment, fake.comments
        else:
            fake.open_request(7, "mona", "kb", "b1")
            self.own, self.write, self.comments = TOKEN_USER, fake.note, fake.notes
        self.issues, self.text = fake.issues, "body" if isinstance(fake, FakeGitHub) else "description"

    def bodies(self) -> list[str]:
        return [comment["body"] for comment in self.comments]

    def open_issues(self) -> list[Any]:
        return [issue[self.text] for issue in self.issues if issue["state"] in ("open", "opened")]


@pytest.fixture(params=[FakeGitHub, FakeGitLab])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    return World(request.param(), tmp_path)


BEFORE: dict[str, tuple[Callable[[World], object], int]] = {
    "nothing": (lambda w: None, 1),
    "ours": (lambda w: w.write(7, w.own, f"{MARKER}\nold"), 1),
    "ours on another request": (lambda w: w.write(8, w.own, f"{MARKER}\nold"), 2),
    "one of another manifest": (lambda w: w.write(7, w.own, "<!-- vssync:plan:other -->"), 2),
    "a copy by somebody else": (lambda w: w.write(7, "mallory", f"{MARKER}\ncopied"), 2),
    "one that quotes it": (lambda w: w.write(7, w.own, f"> {MARKER}"), 2),
    "250 comments, ours last": (
        lambda w: [*(w.write(7, "rita", "hm") for _ in range(250)), w.write(7, w.own, MARKER)],
        251,
    ),
}


@pytest.mark.parametrize(("before", "count"), BEFORE.values(), ids=BEFORE)
def test_there_is_one_comment_of_ours(world: World, before: Callable[[World], object], count: int) -> None:
    before(world)
    for body in ("first", "second"):
        assert world.forge.put_comment(7, MARKER, body)
    assert len(world.comments) == count
    assert world.bodies().count(f"{MARKER}\nsecond") == 1
    assert "first" not in "".join(world.bodies())


def test_a_comment_deleted_by_hand_is_written_again(world: World) -> None:
    world.forge.put_comment(7, MARKER, "first")
    world.comments.clear()
    world.forge.put_comment(7, MARKER, "second")
    world.fake.interludes.append(("(PATCH|PUT) ", world.comments.clear))  # after the listing had it
    world.forge.put_comment(7, MARKER, "third")
    assert world.bodies() == [f"{MARKER}\nthird"]


def test_two_runs_at_once_leave_one_comment_and_one_issue(world: World) -> None:
    world.fake.interludes += [
        ("POST .*(notes|comments)$", lambda: world.write(7, world.own, f"{MARKER}\nthe other run's")),
        ("POST .*issues$", lambda: world.forge.put_issue(MARKER, "title", "the other run's")),
    ]
    world.forge.put_comment(7, MARKER, "text")
    world.forge.put_issue(MARKER, "title", "text")
    assert world.bodies() == [f"{MARKER}\ntext"]
    assert world.open_issues() == [f"{MARKER}\ntext"]


@pytest.mark.parametrize("status", [0, 500, 502])
@pytest.mark.parametrize("after", [True, False])
def test_a_lost_reply_makes_no_second_comment_or_issue(world: World, status: int, after: bool) -> None:
    for path in ("notes|comments", "issues$"):
        world.fake.troubles.append(Trouble("POST", path, status, "lost", after=after))
    world.forge.put_comment(7, MARKER, "text")
    world.forge.put_issue(MARKER, "title", "text")
    assert world.bodies() == [f"{MARKER}\ntext"]
    assert world.open_issues() == [f"{MARKER}\ntext"]


def test_an_issue_is_kept_up_to_date_and_closed(world: World) -> None:
    world.forge.close_issue(MARKER)
    for body in ("first", "second"):
        assert world.forge.put_issue(MARKER, 'live "stores"\ndiffer' + "r" * 400, body)
    assert world.open_issues() == [f"{MARKER}\nsecond"]
    assert "\n" not in world.issues[0]["title"]
    assert len(world.issues[0]["title"]) <= 256
    world.forge.close_issue(MARKER)
    assert world.open_issues() == []
    world.forge.put_issue(MARKER, "again", "third")
    assert world.open_issues() == [f"{MARKER}\nthird"]


def test_a_long_body_is_cut_at_a_block(world: World) -> None:
    block = "<details><summary>docs</summary>\n\n```diff\n" + "+ 😀 name\n\n" * 400 + "```\n\n</details>\n\n"
    world.forge.put_comment(7, MARKER, "### title\n\n" + block * 300)
    (body,) = world.bodies()
    assert body.count("<details>") == body.count("</details>")
    assert body.count("```") % 2 == 0
    assert body.splitlines()[-1].startswith("Cut here: [the ")
    assert "https://" in body.splitlines()[-1]


def test_control_characters_and_quick_actions_do_nothing(world: World) -> None:
    world.forge.put_comment(7, MARKER, "a\0b\x1b[31m\ud800\r\nc\n/merge\n/close")
    (body,) = world.bodies()
    assert body.startswith(f"{MARKER}\na\\x00b\\x1b[31m\\ud800\nc\n")


DENIED: dict[str, tuple[Callable[[FakeGitHub], object], Callable[[Forge], object], str]] = {
    "no right to comment": (
        lambda f: f.permissions.update({"pull-requests": "read", "issues": "none"}),
        lambda forge: forge.put_comment(7, MARKER, "x"),
        'api.github.com: POST /repos/acme/handbook/issues/7/comments: was answered 403 "Resource not accessible by '
        "integration\"; add `pull-requests: write` to the job's `permissions`",
    ),
    "no right to open issues": (
        lambda f: f.permissions.update({"issues": "none"}),
        lambda forge: forge.put_issue(MARKER, "t", "x"),
        "add `issues: write` to the job's `permissions`",
    ),
    "locked": (
        lambda f: f.locked.add(7),
        lambda forge: forge.put_comment(7, MARKER, "x"),
        "unlock the conversation, or read the job's summary",
    ),
    "issues switched off": (
        lambda f: setattr(f, "has_issues", False),
        lambda forge: forge.put_issue(MARKER, "t", "x"),
        "switch issues on in the repository's settings",
    ),
    "no right to read deployments": (
        lambda f: f.permissions.update({"deployments": "none"}),
        lambda forge: forge.last_deployment("prod"),
        "add `deployments: read` to the job's `permissions`",
    ),
    "no such pull request": (
        lambda f: None,
        lambda forge: forge.pull_request(404),
        "it does not exist, or the token may not see it: add `pull-requests: read`",
    ),
}


@pytest.mark.parametrize(("before", "ask", "message"), DENIED.values(), ids=DENIED)
def test_github_says_which_permission_is_missing(
    tmp_path: Path, before: Callable[[FakeGitHub], object], ask: Callable[[Forge], object], message: str
) -> None:
    fake = FakeGitHub()
    fake.open_pull(7, "mona", "kb", "b1")
    before(fake)
    with pytest.raises(ForgeError) as caught:
        ask(fake.open_job(tmp_path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("token", "scope", "message"),
    [
        ("", "api", "set VSSYNC_GITLAB_TOKEN to a project access token with the scope `api` and the role Developer"),
        ("glpat-x", "read_api", "give VSSYNC_GITLAB_TOKEN the scope `api`"),
        ("expired", "api", "give VSSYNC_GITLAB_TOKEN the scope `api`"),
    ],
)
def test_gitlab_says_which_scope_is_missing(tmp_path: Path, token: str, scope: str, message: str) -> None:
    with pytest.raises(ForgeDenied) as caught:
        FakeGitLab(scope=scope).open_job(tmp_path, token=token).put_comment(7, MARKER, "x")
    assert message in str(caught.value)


def test_github_without_a_token_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(
        ForgeDenied, match=r"give the step `env: \{GITHUB_TOKEN: \$\{\{ github.token \}\}\}`, and the job"
    ):
        FakeGitHub().open_job(tmp_path, token="").put_comment(7, MARKER, "x")


def test_a_persons_token_finds_its_own_comment(tmp_path: Path) -> None:
    fake = FakeGitHub(login="mona")
    fake.comment(7, BOT, f"{MARKER}\nthe job's")
    for body in ("first", "second"):
        fake.open_job(tmp_path, token="ghp_person").put_comment(7, MARKER, body)
    assert [comment["body"] for comment in fake.comments] == [f"{MARKER}\nthe job's", f"{MARKER}\nsecond"]


def test_the_last_deployment_is_the_newest_that_succeeded_on_a_branch(tmp_path: Path) -> None:
    github, gitlab = FakeGitHub(), FakeGitLab()
    assert (
        github.open_job(tmp_path).last_deployment("prod") is gitlab.open_job(tmp_path).last_deployment("prod") is None
    )
    for sha in ("old", "good", "other", "failed", "now"):
        github.move_main(sha)
    github.deploy("prod", "old", "inactive", "success", "in_progress")
    github.deploy("prod", "good", "inactive", "success", event="workflow_dispatch", path=f"{WORKFLOW}@main")
    github.deploy("staging", "other")
    github.deploy("prod", "failed", "failure", "in_progress", conclusion="failure")
    github.deploy("prod", "now", "in_progress", conclusion="")
    github.deploy("prod", "old")  # a run again
    for sha, status in [("old", "success"), ("good", "success"), ("bad", "failed")]:
        gitlab.deploy("prod", sha, status)
    assert github.open_job(tmp_path).last_deployment("prod") == "good"
    assert gitlab.open_job(tmp_path, token="").last_deployment("prod") == "good"
    assert github.printed == gitlab.printed == []
