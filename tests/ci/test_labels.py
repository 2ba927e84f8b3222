"""Which labels of a request prove a second person's look: who set them, when, and when was pushed last."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.ci.fake_github import FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from vssync.ci.forge import PullRequest
from vssync.errors import ForgeDenied

LIMIT = "vssync/support-kb/max-delete=12"
Act = Callable[[FakeGitHub], object]


def counting(pull: PullRequest) -> list[str]:
    """The labels that a reviewer set after the last push."""
    return [
        label.name
        for label in pull.labels
        if label.set_by not in ("", pull.author) and pull.last_push_at and label.set_at
        if label.set_at > pull.last_push_at
    ]


def without_activity(fake: FakeGitHub) -> None:
    fake.has_activity = False


GITHUB: dict[str, tuple[list[Act], list[str]]] = {
    "no label": ([], []),
    "by a reviewer after the push": ([lambda f: f.label(7, LIMIT, "rita")], [LIMIT]),
    "by the author": ([lambda f: f.label(7, LIMIT, "mona")], []),
    "before a push": ([lambda f: f.label(7, LIMIT, "rita"), lambda f: f.push("kb", "b2", "mona")], []),
    "before a force-push to the same commit": (
        [lambda f: f.label(7, LIMIT, "rita"), lambda f: f.push("kb", "b1", "mona", forced=True)],
        [],
    ),
    "set again after a push": (
        [
            lambda f: f.label(7, LIMIT, "rita"),
            lambda f: f.push("kb", "b2", "mona"),
            lambda f: f.unlabel(7, LIMIT, "rita"),
            lambda f: f.label(7, LIMIT, "rita"),
        ],
        [LIMIT],
    ),
    "removed and set again by the author": (
        [
            lambda f: f.label(7, LIMIT, "rita"),
            lambda f: f.unlabel(7, LIMIT, "mona"),
            lambda f: f.label(7, LIMIT, "mona"),
        ],
        [],
    ),
    "by who pushed last to another's branch": (
        [lambda f: f.push("kb", "b2", "rita"), lambda f: f.label(7, LIMIT, "rita")],
        [],
    ),
    "by a bot": ([lambda f: f.label(7, LIMIT, "github-actions[bot]")], []),
    "by an account that was deleted": ([lambda f: f.label(7, LIMIT, "")], []),
    "without a record": ([lambda f: f.labels[7].append(LIMIT)], []),
    "another target since": (
        [lambda f: f.label(7, LIMIT, "rita"), lambda f: f.act(7, "base_ref_changed", "mona")],
        [],
    ),
    "another project's labels": ([lambda f: f.label(7, "docs", "rita")], []),
    "quotes and line ends in the name": ([lambda f: f.label(7, 'vssync/a"b\n=1', "rita")], ['vssync/a"b\n=1']),
    "300 labels": (
        [*(lambda f, n=n: f.label(7, f"team-{n}", "rita") for n in range(300)), lambda f: f.label(7, LIMIT, "rita")],
        [LIMIT],
    ),
    "no record of pushes, a run since": ([without_activity, lambda f: f.label(7, LIMIT, "rita")], [LIMIT]),
    "no record of pushes, pushed since": (
        [without_activity, lambda f: f.label(7, LIMIT, "rita"), lambda f: f.push("kb", "b2", "mona")],
        [],
    ),
    "no record of pushes, force-pushed away and back": (
        [
            without_activity,
            lambda f: f.push("kb", "b2", "mona", forced=True),
            lambda f: f.label(7, LIMIT, "rita"),
            lambda f: f.push("kb", "b1", "mona", forced=True),
        ],
        [],
    ),
    "merged, its branch restored and pushed to": (
        [
            lambda f: f.label(7, LIMIT, "rita"),
            lambda f: f.merge(7, "5ea"),
            lambda f: f.act(7, "head_ref_restored", "mona"),
            lambda f: f.push("kb", "b1", "mona"),
        ],
        [LIMIT],
    ),
}


@pytest.mark.parametrize(("acts", "expected"), GITHUB.values(), ids=GITHUB)
def test_github_labels_count_by_who_set_them_and_when(tmp_path: Path, acts: list[Act], expected: list[str]) -> None:
    fake = FakeGitHub()
    fake.push("kb", "b1", "mona")
    fake.open_pull(7, "mona", "kb", "b1")
    for act in acts:
        act(fake)
    assert counting(fake.open_job(tmp_path).pull_request(7)) == expected


def test_a_run_for_an_earlier_pull_request_of_the_branch_is_no_push_to_this_one(tmp_path: Path) -> None:
    fake = FakeGitHub(has_activity=False)
    fake.open_pull(6, "mona", "kb", "b2")
    fake.pulls[6]["merged_at"] = fake.now()
    fake.open_pull(7, "mona", "kb", "b1")
    fake.label(7, LIMIT, "rita")
    fake.push("kb", "b2", "mona")
    assert counting(fake.open_job(tmp_path).pull_request(7)) == []


def test_a_push_that_nothing_tells_of_is_said(tmp_path: Path) -> None:
    fake = FakeGitHub(permissions={"pull-requests": "read"})
    fake.open_pull(7, "mona", "kb", "b1")
    fake.label(7, LIMIT, "rita")
    pull = fake.open_job(tmp_path).pull_request(7)
    assert (pull.last_push_at, pull.unknown) == (
        None,
        "GitHub has no record of when b1 was pushed; give the job `contents: read` and `actions: read`, or push again "
        "and set the label again",
    )
    fake.pulls[7]["head"]["repo"] = None
    assert "deleted" in fake.open_job(tmp_path).pull_request(7).unknown


GITLAB: dict[str, tuple[list[Callable[[FakeGitLab], object]], list[str]]] = {
    "by a reviewer after the push": ([lambda f: f.label(7, LIMIT, "rita")], [LIMIT]),
    "by the author": ([lambda f: f.label(7, LIMIT, "mona")], []),
    "before a push": ([lambda f: f.label(7, LIMIT, "rita"), lambda f: f.push("kb", "b2", "mona")], []),
    "before a force-push to the same commit": (
        [lambda f: f.label(7, LIMIT, "rita"), lambda f: f.push("kb", "b1", "mona")],
        [],
    ),
    "removed and set again by the author": (
        [
            lambda f: f.label(7, LIMIT, "rita"),
            lambda f: f.unlabel(7, LIMIT, "mona"),
            lambda f: f.label(7, LIMIT, "mona"),
        ],
        [],
    ),
    "by a token's account": ([lambda f: f.label(7, LIMIT, "project_5_bot_77ab")], []),
    "by an account that was deleted": ([lambda f: f.label(7, LIMIT, "")], []),
    "without a record": ([lambda f: f.requests_[7]["labels"].append(LIMIT)], []),
    "its version not made yet": ([lambda f: f.label(7, LIMIT, "rita"), lambda f: f.versions[7].clear()], []),
    "300 labels": (
        [*(lambda f, n=n: f.label(7, f"team-{n}", "rita") for n in range(300)), lambda f: f.label(7, LIMIT, "rita")],
        [LIMIT],
    ),
}


@pytest.mark.parametrize(("acts", "expected"), GITLAB.values(), ids=GITLAB)
def test_gitlab_labels_count_by_who_set_them_and_when(
    tmp_path: Path, acts: list[Callable[[FakeGitLab], object]], expected: list[str]
) -> None:
    fake = FakeGitLab()
    fake.open_request(7, "mona", "kb", "b1")
    for act in acts:
        act(fake)
    assert counting(fake.open_job(tmp_path).pull_request(7)) == expected


@pytest.mark.parametrize("labels", [7, "vssync", {"vssync": 1}, None, True, [7, None, []]])
def test_labels_that_are_no_list_of_names_are_none(tmp_path: Path, labels: object) -> None:
    fake = FakeGitLab()
    fake.open_request(7, "mona", "kb", "b1")
    fake.requests_[7]["labels"] = labels
    assert fake.open_job(tmp_path).pull_request(7).labels == ()


def test_a_label_of_no_use_says_why(tmp_path: Path) -> None:
    github, gitlab = FakeGitHub(), FakeGitLab()
    github.open_pull(7, "mona", "kb", "b1")
    gitlab.open_request(7, "mona", "kb", "b1")
    github.label(7, "vssync/a=1", "dependabot[bot]")
    gitlab.label(7, "vssync/a=1", "")
    (of_bot,) = github.open_job(tmp_path).pull_request(7).labels
    (of_nobody,) = gitlab.open_job(tmp_path).pull_request(7).labels
    assert of_bot.unknown.startswith("a bot set it, dependabot[bot],")
    assert of_nobody.unknown == "whoever set it is gone; remove it and set it again"


def merge_both(fake: FakeGitHub) -> None:
    fake.merge(7, "m1")
    fake.merge(8, "m2")


MERGES: dict[str, tuple[Callable[[FakeGitHub], object], list[int]]] = {
    "a merge commit": (lambda f: f.merge(7, "m1", commits=("b1",)), [7]),
    "a squash": (lambda f: f.merge(7, "m1"), [7]),
    "a rebase of several commits": (lambda f: f.merge(7, "m2", commits=("m1",)), [7]),
    "into another branch": (lambda f: f.merge(7, "m1", base="release"), []),
    "its merge lies elsewhere": (lambda f: f.merge(7, "older", commits=("m1",)), []),
    "not merged": (lambda f: f.commits.update(m1=[7]), []),
    "two in a queue": (merge_both, [7, 8]),
}


@pytest.mark.parametrize(("act", "expected"), MERGES.values(), ids=MERGES)
def test_github_names_what_was_merged_by_commit(
    tmp_path: Path, act: Callable[[FakeGitHub], object], expected: list[int]
) -> None:
    fake = FakeGitHub()
    fake.open_pull(7, "mona", "kb", "b1")
    fake.open_pull(8, "mona", "kb8", "b8")
    act(fake)
    pulls = fake.open_job(tmp_path).merged_pull_requests(["m1", "m2", "m1"])
    assert [pull.number for pull in pulls] == expected


@pytest.mark.parametrize(
    ("merged", "expected"),
    [
        ({"merge": "m1"}, [7]),
        ({"squash": "m1"}, [7]),
        ({"merge": "m2", "squash": "s1", "commits": ("m1",)}, [7]),
        ({"commits": ("m1",)}, []),  # a fast-forward whose last commit is another
        ({"merge": "older", "commits": ("m1",)}, []),
    ],
)
def test_gitlab_names_what_was_merged_by_commit(
    tmp_path: Path, merged: dict[str, str | tuple[str, ...]], expected: list[int]
) -> None:
    fake = FakeGitLab()
    fake.open_request(7, "mona", "kb", "b1")
    fake.merge(7, **merged)  # type: ignore[arg-type]  # a table of plain values
    pulls = fake.open_job(tmp_path).merged_pull_requests(["m1", "m2"])
    assert [pull.number for pull in pulls] == expected


def test_a_gitlab_fast_forward_is_known_by_the_requests_own_last_commit(tmp_path: Path) -> None:
    fake = FakeGitLab()
    fake.open_request(7, "mona", "kb", "b1")
    fake.merge(7)
    assert [pull.number for pull in fake.open_job(tmp_path).merged_pull_requests(["b1"])] == [7]


def test_no_more_commits_are_asked_about_than_a_token_may(tmp_path: Path) -> None:
    fake = FakeGitHub()
    fake.open_job(tmp_path).merged_pull_requests([f"c{number}" for number in range(400)])
    assert len(fake.requests) == 300
    assert fake.printed == ["::warning::of 400 commits only the newest 300 were asked for their labels"]


def test_a_gitlab_jobs_own_token_sees_no_labels(tmp_path: Path) -> None:
    fake = FakeGitLab()
    fake.open_request(7, "mona", "kb", "b1")
    with pytest.raises(
        ForgeDenied, match="set VSSYNC_GITLAB_TOKEN to a project access token with the scope `read_api`"
    ):
        fake.open_job(tmp_path, token="").pull_request(7)
