"""`vssync ci plan`, `apply` and `drift`: whole flows on real git, a local service, and fakes of both forges."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.ci.fake_github import FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.ci.project import Project
from tests.ci.repository import MANIFEST, Files

PAGES: Files = {"vssync.yaml": MANIFEST, **{f"docs/{number}.md": f"# {number}\n" for number in range(12)}}
GONE: Files = {f"docs/{number}.md": None for number in range(8)}
NEW: Files = {"docs/0.md": "new\n"}
LABEL = "vssync/kb/max-delete=8"
BOTH = pytest.mark.parametrize("fake", [FakeGitHub, FakeGitLab])
MakeProject = Callable[..., Project]
Step = tuple[object, ...]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeProject:
    """A project whose main branch is applied."""

    def make(fake: FakeGitHub | FakeGitLab | None = None, files: Files = PAGES, env: str = "", **given: Any) -> Project:
        project = Project(tmp_path, fake or FakeGitHub(), files, monkeypatch)
        project.given |= given
        project.settings |= {"env": env} if env else {}
        assert project.job("apply").code == 0
        return project

    return make


def play(project: Project, steps: tuple[Step, ...]) -> None:
    """Steps, each the name of a method and its arguments."""
    for name, *arguments in steps:
        getattr(project, str(name))(*arguments)


@BOTH
def test_from_a_request_to_what_is_live(make: MakeProject, fake: type[FakeGitHub | FakeGitLab]) -> None:
    project = make(fake())
    project.open(7, NEW)
    assert project.review(7).code == 0
    (comment,) = project.comments(7)
    assert "+/- docs/0.md" in comment
    project.push(7, {"docs/1.md": None})
    assert "true" in project.review(7).outputs
    (comment,) = project.comments(7)
    assert "-   docs/1.md" in comment
    project.merge(7)
    end = project.job("apply")
    assert (end.code, end.error) == (0, "")
    assert "1 replaced, 1 deleted" in end.summary
    planned, applied = project.comments(7)
    assert planned == comment
    assert "1 replaced, 1 deleted" in applied
    assert "Apply of `" in text_of(applied).splitlines()[-1]
    again = project.job("apply")
    assert (again.code, "No changes" in again.log) == (0, True)
    assert "false" in again.outputs
    assert project.comments(7) == [planned, applied]


LABELS: dict[str, tuple[tuple[Step, ...], int, str]] = {  # what people do, how the jobs end, what the comment says
    "none": ((), 3, f"Add the label `{LABEL}`"),
    "another": ((("label", 7, LABEL, "rita"),), 0, "counts"),
    "author": ((("label", 7, LABEL, "mona"),), 3, "mona set it"),
    "push": ((("label", 7, LABEL, "rita"), ("push", 7, {"docs/9.md": "new\n"})), 3, "before the last push"),
    "lower": ((("label", 7, "vssync/kb/max-delete=7", "rita"),), 3, "counts"),
    "other": ((("label", 7, "vssync/other/max-delete=9", "rita"),), 3, "names no manifest"),
    "hostile": ((("label", 7, "vssync/kb/max-delete=$(touch x)\n`", "rita"),), 3, "is not of the form"),
    "300": (tuple(("label", 7, f"vssync/{number}", "rita") for number in range(300)), 3, "is not of the form"),
}
ALIKE = ("lower", "other", "hostile")  # what these say is no forge's matter: every run has them with one


def label_cases() -> Iterator[Any]:
    for fake in (FakeGitHub, FakeGitLab):
        for name, values in LABELS.items():
            marks = [pytest.mark.slow] if fake is FakeGitLab and name in ALIKE else []
            yield pytest.param(fake, *values, id=f"{name}-{fake.__name__}", marks=marks)


@pytest.mark.wide(5)
@pytest.mark.parametrize(("fake", "steps", "code", "says"), list(label_cases()))
def test_a_label_raises_a_limit_before_the_merge_and_after_it(
    make: MakeProject, fake: type[FakeGitHub | FakeGitLab], steps: tuple[Step, ...], code: int, says: str
) -> None:
    project = make(fake())
    project.open(7, GONE)
    play(project, steps)
    end = project.review(7)
    assert end.code == code
    comment = text_of(project.comments(7)[0])
    assert says in comment
    assert ("matches 4 files here, 12 on `main`." in comment) == (code == 3)
    assert ("would be deleted" in end.log) == (code == 3)
    project.merge(7)
    after = project.job("apply")
    assert after.code == code
    assert ("8 deleted" in after.summary) == (code == 0)


def text_of(markdown: str) -> str:
    """A comment as people read it: code between backticks, entities as what they stand for."""
    plain = re.sub(r"</?code>", "`", markdown)
    return re.sub(r"&#(\d+);", lambda entity: chr(int(entity[1])), plain)


def test_the_workflow_may_let_the_labels_of_authors_count(make: MakeProject) -> None:
    project = make(by_author=True)
    project.open(7, GONE)
    project.label(7, LABEL, "mona")
    assert project.review(7).code == 0
    project.merge(7)
    assert project.job("apply").code == 0


def test_a_request_raises_no_limit_for_itself(make: MakeProject) -> None:
    """Neither before its merge nor after it; what an earlier one raised, and a deployment had, holds."""
    raised = {"vssync.yaml": MANIFEST.replace("{files", "{guards: {max_delete: 100%}, files")}
    five: Files = {f"docs/{number}.md": None for number in range(5)}
    project = make(deployment="kb")
    project.open(7, {**five, **raised})
    end = project.review(7)
    assert (end.code, "limit 30%" in end.log) == (3, True)
    assert "::warning file=vssync.yaml,line=3::docs.max_delete: changed from " in end.log
    assert "Settings that decide what an apply may do" in project.comments(7)[0]
    project.merge(7)
    end = project.job("apply")
    assert (end.code, "limit 30%" in end.log) == (3, True)
    project.git("reset", "-q", "--hard", "HEAD^")
    project.open(8, raised)
    project.merge(8)
    assert project.job("apply").code == 0
    project.deploy("kb", project.head)
    project.open(9, five)
    assert project.review(9).code == 0
    project.merge(9)
    assert project.job("apply").code == 0


def test_a_request_raises_no_limit_by_moving_the_manifest(make: MakeProject) -> None:
    project = make()
    moved = {"vssync.yaml": None, "kb.yaml": MANIFEST.replace("{files", "{guards: {max_delete: 100%}, files")}
    project.open(7, {**{f"docs/{number}.md": None for number in range(5)}, **moved})
    project.given["paths"] = ("kb.yaml",)
    assert project.review(7).code == 3
    project.merge(7)
    end = project.job("apply")
    assert (end.code, "limit 30%" in end.log) == (3, True)


EDITS: tuple[Step, ...] = tuple(("open", 7 + number, {f"docs/{number}.md": None}) for number in range(3))
MERGED: dict[str, tuple[tuple[Step, ...], int]] = {
    "a merge": ((EDITS[0], ("merge", 7)), 1),
    "a squash": ((EDITS[0], ("merge", 7, "squash")), 1),
    "a rebase": ((*EDITS[:2], ("merge", 7), ("merge", 8, "rebase")), 2),
    "three merges in a row": ((*EDITS, ("merge", 7), ("merge", 8, "squash"), ("merge", 9, "rebase")), 3),
    "a revert": ((EDITS[0], ("merge", 7), ("job", "apply"), ("git", "revert", "--no-edit", "-m1", "HEAD")), 0),
    "a push without a request": ((("commit", {"docs/0.md": None}),), 1),
}


@pytest.mark.wide(2)
@pytest.mark.parametrize(("steps", "deleted"), MERGED.values(), ids=MERGED)
def test_what_was_merged_is_applied(make: MakeProject, steps: tuple[Step, ...], deleted: int) -> None:
    """Though only the last of the jobs runs, which knows no more than the commit before the last one."""
    project = make()
    play(project, steps)
    end = project.job("apply", before=project.git("rev-parse", "HEAD~1"))
    assert (end.code, end.error) == (0, "")
    assert f"{deleted} deleted" in end.summary
    assert project.job("drift").code == 0
    assert project.issues() == []


def test_what_git_does_not_explain_needs_a_person(make: MakeProject) -> None:
    project = make()
    project.alter_live({"docs/1.md": "drift\n", "docs/z.md": "stray\n"})
    project.open(7, NEW)
    assert project.review(7).code == 0
    assert "Git does not explain `docs/docs/1.md` and `docs/docs/z.md`" in text_of(project.comments(7)[0])
    assert "a merge applies it" not in project.comments(7)[0]
    project.merge(7)
    end = project.job("apply")
    assert end.code == 3
    for text in (end.log, text_of(end.summary), text_of(project.comments(7)[-1])):
        assert "docs/docs/1.md: replace: " in text
        assert "docs/docs/z.md: delete: " in text
        assert "unexplained: true" in text
    assert "docs/docs/0.md: replace" not in end.log
    assert project.issues() == []
    by_hand = project.job("apply", unexplained=True)
    assert (by_hand.code, "2 replaced, 1 deleted" in by_hand.summary) == (0, True)


TWO: Files = {
    **{f"kb/{path}": text for path, text in PAGES.items()},
    "faq/vssync.yaml": MANIFEST.replace("owner: kb", "owner: faq"),
    "faq/docs/q.md": "q\n",
    "main.go": "x\n",
}


def test_of_many_manifests_those_touched_are_planned(make: MakeProject) -> None:
    project = make(files=TWO, deployment="kb")
    project.open(7, {"faq/docs/q.md": "new\n"})
    end = project.review(7)
    (comment,) = project.comments(7)
    assert (end.code, "kb: not touched." in text_of(comment).replace("`", "")) == (0, True)
    assert "kb: local" not in end.log
    project.push(7, {"faq/docs/q.md": "q\n", "main.go": "y\n"})
    assert project.review(7).code == 0
    assert project.comments(7) == [], "nothing is touched any more"
    project.push(7, {"faq/docs/q.md": "new\n"})
    project.merge(7)
    project.deploy("kb", project.git("rev-parse", "main~1"))
    assert "kb: local" not in project.job("apply").log


def test_nothing_is_written_while_one_of_many_manifests_needs_a_person(make: MakeProject) -> None:
    project = make(files=TWO)
    project.alter_live({"kb/docs/1.md": "drift\n"})
    project.open(7, {"faq/docs/q.md": "new\n"})
    project.merge(7)
    end = project.job("apply")
    assert (end.code, "Apply: " in end.log) == (3, False)
    project.given["paths"] = ("faq",)
    assert project.job("apply").code == 0


def test_a_run_again_of_an_old_job_takes_nothing_back(make: MakeProject) -> None:
    project = make()
    old = project.head
    project.commit({**NEW, "docs/new.md": "x\n"})
    assert project.job("apply").code == 0
    project.git("reset", "-q", "--hard", old)
    end = project.job("apply", before=old)
    assert end.code == 3
    assert "docs/docs/0.md: replace: " in end.log


def test_after_a_force_push_the_commit_before_it_is_no_base(make: MakeProject) -> None:
    project = make()
    project.git("commit", "-q", "--amend", "-m", "rewritten")
    project.commit(NEW)
    end = project.job("apply")
    assert end.code == 3
    assert "no commit of this history is known" in end.log


def test_a_shallow_clone_is_an_error_that_says_how_to_fetch(
    make: MakeProject, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = make()
    project.open(7, NEW)
    project.review(7)
    (project.tree / ".git/shallow").write_text(project.head + "\n")
    assert isinstance(project.fake, FakeGitHub)
    forge = project.fake.open_job(tmp_path, "pull_request", pull_request=project.fake.pulls[7])
    end = project.do("plan", forge)
    assert (end.code, "fetch-depth: 0" in end.error) == (1, True)
    assert "fetch-depth" in project.comments(7)[0], "the good comment is gone"
