"""`vssync ci` where something is missing, refused or wrong: forks, tokens, secrets, services, events, saved plans."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.ci.fake_forge import Trouble
from tests.ci.fake_github import FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.ci.project import Interrupting, Project
from tests.ci.repository import MANIFEST, Files
from tests.ci.test_flows import BOTH, GONE, LABEL, NEW, PAGES, MakeProject, make, text_of
from vssync.commands.apply import locked_journal
from vssync.commands.plan import load_plan, make_plan_now, save_plan
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.model.plan import Options, Plan
from vssync.model.state import Limit

__all__ = ["make"]


def test_a_fork_is_compared_with_its_base_and_asks_no_service(make: MakeProject) -> None:
    fake = FakeGitHub()
    project = make(fake)
    project.open(7, NEW, author="mallory", fork=True)
    fake.permissions = {"contents": "read", "pull-requests": "read"}
    (project.tree / ".vssync/local/service.db").write_bytes(b"would be an error")
    end = project.review(7)
    assert (end.code, project.comments(7)) == (0, [])
    assert "no service was asked" in end.summary
    assert "+/- docs/0.md" in end.summary
    assert "no comment on request 7" in end.log
    assert "pull-requests: write" in end.log


def test_without_a_secret_git_alone_says_what_a_change_means(make: MakeProject) -> None:
    project = make()
    service = {"vssync.yaml": MANIFEST + "service: {provider: openai}\n"}
    project.open(7, {**NEW, **service})
    project.settings["environment"] = {}
    end = project.review(7)
    assert (end.code, "put the key of openai into" in end.log) == (0, True)
    (comment,) = project.comments(7)
    assert "No service was asked: bearer key: not set" in text_of(comment)
    assert "docs/0.md" in comment
    project.merge(7)
    assert project.job("apply").code == 1


@BOTH
def test_without_a_token_the_summary_and_the_exit_code_tell(
    make: MakeProject, fake: type[FakeGitHub | FakeGitLab]
) -> None:
    project = make(fake(), deployment="kb")
    project.open(7, GONE)
    end = project.review(7, token="")
    assert (end.code, "would be deleted" in end.summary) == (3, True)
    assert project.comments(7) == []
    way_out = "GITHUB_TOKEN" if fake is FakeGitHub else "VSSYNC_GITLAB_TOKEN"
    for what in ("no label counts: ", "no comment on request 7: "):
        assert way_out in next(line for line in end.log.splitlines() if what in line)


def test_without_rights_an_apply_goes_by_stamps_alone(make: MakeProject) -> None:
    fake = FakeGitHub()
    project = make(fake, deployment="kb")
    project.open(7, NEW)
    project.merge(7)
    fake.permissions = {"contents": "read"}
    end = project.job("apply")
    assert (end.code, "1 replaced" in end.summary) == (0, True)
    assert "deployments: read" in end.log
    assert "no comment on what was merged" in end.log


@pytest.mark.parametrize("path", ["issues/7/labels", "issues/7/comments"])
def test_a_rate_limit_is_an_error_that_says_when_it_ends(make: MakeProject, path: str) -> None:
    project = make()
    project.open(7, NEW)
    project.fake.troubles.append(Trouble("GET", path, 403, "API rate limit exceeded", {"retry-after": "3600"}))
    end = project.review(7)
    assert (end.code, "this rate limit ends at 20" in end.error) == (1, True)
    assert ("docs/0.md" in end.summary) == ("comments" in path)
    assert project.review(7).code == 0


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("path", "status"),
    [("pulls/7$", 500), *((f"issues/7/{name}", status) for name in ("labels", "events") for status in (500, 200))],
)
def test_an_answer_that_fails_or_is_none_leaves_no_earlier_comment(make: MakeProject, path: str, status: int) -> None:
    project = make()
    project.open(7, NEW)
    assert project.review(7).code == 0
    project.push(7, GONE)
    project.label(7, LABEL, "rita")
    project.fake.troubles += [Trouble("GET", path, status)] * (4 if status == 500 else 1)
    end = project.review(7)
    assert (end.code, "docs/0.md: replace" in end.log) == (1, False)
    (comment,) = project.comments(7)
    assert "`vssync ci`: failed" in text_of(comment)
    assert "`vssync ci`: failed" in text_of(end.summary)
    assert "docs/0.md" not in comment


def test_a_bug_leaves_no_earlier_comment_and_shows_no_text_of_its_own(make: MakeProject) -> None:
    project = make()
    project.open(7, NEW)
    assert project.review(7).code == 0

    def fail() -> None:
        raise ZeroDivisionError("sk-secret")

    project.fake.interludes.append(("GET .*/labels", fail))
    with pytest.raises(ZeroDivisionError):
        project.review(7)
    (comment,) = project.comments(7)
    assert "ZeroDivisionError" in text_of(comment)
    assert "docs/0.md" not in comment
    assert "sk-secret" not in comment


def test_a_comment_deleted_by_hand_is_written_again(make: MakeProject) -> None:
    project = make()
    assert isinstance(project.fake, FakeGitHub)
    project.open(7, NEW)
    assert project.review(7).code == 0
    project.fake.comments.clear()
    assert project.review(7).code == 0
    assert len(project.comments(7)) == 1


BROKEN: Files = {"vssync.yaml": "version: 1\nowner: kb\nstores: 7\n"}


def test_an_error_takes_the_place_of_an_earlier_comment(make: MakeProject) -> None:
    project = make()
    project.open(7, NEW)
    assert project.review(7).code == 0
    project.push(7, BROKEN)
    end = project.review(7)
    assert end.code == 1
    assert "::error file=vssync.yaml,line=3::" in end.log
    (comment,) = project.comments(7)
    assert "vssync.yaml:3:9" in comment
    assert "docs/0.md" not in comment
    project.push(7, {"vssync.yaml": MANIFEST})
    (project.tree / ".vssync/local/service.db").write_bytes(b"no database")
    end = project.review(7)
    assert end.code == 1
    (comment,) = project.comments(7)
    assert "service.db" in comment


def test_another_manifest_is_planned_all_the_same(make: MakeProject) -> None:
    two = {f"{name}/{path}": text for name in ("a", "b") for path, text in PAGES.items()}
    two["b/vssync.yaml"] = MANIFEST.replace("kb", "other")
    project = make(files=two)
    project.open(7, {"a/vssync.yaml": BROKEN["vssync.yaml"], "b/docs/0.md": "new\n"})
    end = project.review(7)
    assert end.code == 1
    comment = text_of(project.comments(7)[0])
    assert "`a/vssync.yaml`: could not be planned" in comment
    assert "other / docs" in comment


HOSTILE = ('it\'s-"quoted"', "a;touch$IFS-x", "`id`", "a-->b", "</details>", "#1-@octocat", "größe", "x" * 200)


def test_branches_of_any_name_are_reviewed(make: MakeProject) -> None:
    project = make()
    for number, branch in enumerate(HOSTILE):
        project.open(number, {"docs/0.md": f"{number}\n"}, branch=branch)
        assert project.review(number).code == 0
        project.merge(number)
    assert project.job("apply").code == 0


def test_a_merge_queue_is_planned_without_a_comment(make: MakeProject) -> None:
    project = make()
    assert isinstance(project.fake, FakeGitHub)
    group = {"base_ref": "refs/heads/main", "base_sha": project.head, "head_sha": "f" * 40}
    project.git("checkout", "-q", "--detach")
    project.commit(GONE)
    end = project.do("plan", project.fake.open_job(project.folder, "merge_group", merge_group=group))
    assert (end.code, "would be deleted" in end.summary) == (3, True)
    assert not [request for request in end.requests if "comments" in request]


def test_by_hand_also_what_was_not_touched_is_applied(make: MakeProject) -> None:
    """Though the last deployment had all commits: somebody looked at what differs."""
    project = make(deployment="kb")
    project.deploy("kb", project.head)
    project.alter_live({"docs/1.md": "drift\n"})
    end = project.job("apply")
    assert (end.code, "docs/1.md" in end.log) == (0, False)
    assert "kb: not touched." in text_of(end.summary).replace("`", "")
    assert "1 replaced" in project.job("apply", unexplained=True).summary


def test_environments_have_comments_and_stores_of_their_own(make: MakeProject) -> None:
    manifest = MANIFEST.replace("{files", "{name: 'docs-${env}', files") + "environments: {prod: {}, dev: {}}\n"
    project = make(files={**PAGES, "vssync.yaml": manifest}, env="dev")
    project.open(7, NEW)
    for env in ("prod", "dev"):
        project.settings["env"] = env
        assert project.review(7).code == 0
    assert [comment.partition("\n")[0].split("/")[-1] for comment in project.comments(7)] == ["prod -->", "dev -->"]
    project.label(7, "vssync/kb/prod/max-delete=8", "rita")
    assert "names no manifest and environment of this job" in text_of(project.review(7).summary)
    project.merge(7)
    for env in ("prod", "dev"):
        project.settings["env"] = env
        assert project.job("apply", before=project.git("rev-parse", "HEAD^")).code == 0
    assert len(project.comments(7)) == 4


@pytest.mark.wide(2)
@BOTH
def test_one_issue_is_open_while_live_stores_differ(make: MakeProject, fake: type[FakeGitHub | FakeGitLab]) -> None:
    project = make(fake())
    assert (project.job("drift").code, project.issues()) == (0, [])
    project.alter_live({"docs/1.md": "drift\n"})
    for _ in range(2):
        assert project.job("drift").code == 0
        (issue,) = project.issues()
        assert issue["title"] == "vssync: live stores differ from the manifest"
        assert "docs/1.md" in issue.get("body", "") + issue.get("description", "")
    (project.tree / ".vssync/local/service.db").rename(project.folder / "kept.db")
    (project.tree / ".vssync/local/service.db").write_bytes(b"no database")
    assert (project.job("drift").code, len(project.issues())) == (1, 1)
    (project.folder / "kept.db").rename(project.tree / ".vssync/local/service.db")
    assert project.job("apply", unexplained=True).code == 0
    assert (project.job("drift").code, project.issues()) == (0, [])


def test_drift_that_cannot_be_told_fails(make: MakeProject) -> None:
    fake = FakeGitHub()
    project = make(fake)
    project.alter_live({"docs/1.md": "drift\n"})
    fake.permissions["issues"] = "read"
    end = project.job("drift")
    assert (end.code, "issues: write" in end.error, "docs/1.md" in end.summary) == (1, True, True)


def test_it_runs_in_the_top_folder(make: MakeProject, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make()
    monkeypatch.chdir(project.tree / "docs")
    end = project.job("drift")
    assert (end.code, "top folder" in end.error) == (64, True)


def test_a_repository_without_a_manifest_says_so(make: MakeProject) -> None:
    project = make()
    project.commit({"vssync.yaml": None})
    end = project.job("drift")
    assert (end.code, "git tracks no vssync.yaml" in end.error) == (1, True)
    assert "`vssync ci` failed" in text_of(end.summary)


def save(project: Project, **options: Any) -> Plan:
    settings = Settings(environment={}, **project.settings)
    with open_session(settings, load_manifest(settings)) as session:
        plan = make_plan_now(session, Options(**options))
    save_plan(plan, project.folder / "plan.json")
    return load_plan(project.folder / "plan.json")


def test_a_saved_plan_is_applied_to_the_letter(make: MakeProject) -> None:
    project = make()
    project.alter_live({"docs/1.md": "drift\n"})
    project.commit(NEW)
    project.given["saved"] = (save(project),)
    end = project.job("apply")
    assert (end.code, "2 replaced" in end.summary) == (0, True), "reviewed, so git is not asked"
    project.commit({"docs/2.md": "not reviewed\n"})
    end = project.job("apply")
    assert (end.code, "The plan is stale" in end.log) == (3, True)
    assert "stale" in end.summary


@pytest.mark.parametrize(
    "options", [{"max_delete": Limit(share=1.0)}, {"adopt": True}, {"env": "prod"}, {"targets": ("docs",)}]
)
def test_a_saved_plan_with_options_that_the_job_has_not_is_refused(make: MakeProject, options: dict[str, Any]) -> None:
    project = make()
    project.commit(NEW)
    saved = save(project)
    project.given["saved"] = (replace(saved, options=replace(saved.options, **options)),)
    end = project.job("apply")
    assert (end.code, "made with other options" in end.log, "Apply:" in end.log) == (3, True, False)


def test_a_saved_plan_of_a_manifest_that_the_job_does_not_name_is_refused(make: MakeProject) -> None:
    project = make(files={**PAGES, "other/vssync.yaml": MANIFEST.replace("kb", "other"), "other/docs/a.md": "a\n"})
    project.commit(NEW)
    project.given |= {"saved": (save(project),), "paths": ("other",)}
    assert project.job("apply").code == 3


FAQ = "version: 1\nowner: kb\nstores: {docs: {files: [{path: 'docs/**/*.md'}]}, faq: {files: [{path: docs/0.md}]}}\n"


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        (MANIFEST, "not in the manifest, kept"),
        (FAQ.replace("faq: {", "new: {name: faq, "), "is your store `faq`: with `was: [faq]`, `new` takes its place"),
    ],
)
def test_what_an_apply_is_certain_to_leave_is_told_before_the_merge(
    make: MakeProject, manifest: str, says: str
) -> None:
    project = make(files={**PAGES, "vssync.yaml": FAQ})
    project.open(7, {"vssync.yaml": manifest})
    assert project.review(7).code == 0
    comment = text_of(project.comments(7)[0])
    assert says in " ".join(comment.split())
    assert "end with exit code 4" in comment
    assert "a merge applies it" not in comment
    project.merge(7)
    assert project.job("apply").code == 4
    assert project.job("drift").code == 0
    (issue,) = project.issues()
    assert "vssync: `kb` differs" in text_of(issue["body"])


def test_a_manifest_that_goes_is_told_on_its_request(make: MakeProject) -> None:
    other = {"other/vssync.yaml": MANIFEST.replace("kb", "other"), "other/docs/a.md": "a\n"}
    project = make(files={**PAGES, **other})
    project.open(7, {"other/vssync.yaml": None})
    assert project.review(7).code == 0
    comment = text_of(project.comments(7)[0])
    assert "The manifest `other/vssync.yaml` goes. What it made stays live" in comment
    assert "a merge applies it" not in comment


def test_an_apply_that_one_manifest_holds_back_says_that_nothing_was_written(make: MakeProject) -> None:
    two = {f"{name}/{path}": text for name in ("a", "b") for path, text in PAGES.items()}
    two["b/vssync.yaml"] = MANIFEST.replace("kb", "other")
    project = make(files=two)
    project.open(7, {"a/vssync.yaml": BROKEN["vssync.yaml"], "b/docs/0.md": "new\n"})
    project.merge(7)
    end = project.job("apply")
    assert (end.code, "Apply:" in end.log) == (1, False)
    for text in (text_of(end.summary), text_of(project.comments(7)[0])):
        assert "`a/vssync.yaml`: could not be applied" in text
        assert "Nothing was written." in text


@pytest.mark.wide(3)
@BOTH
@pytest.mark.parametrize("paths", [(), ("vssync.yaml",), (".",)])
def test_the_last_manifest_that_goes_is_told_and_ends_well(
    make: MakeProject, fake: type[FakeGitHub | FakeGitLab], paths: tuple[str, ...]
) -> None:
    project = make(fake(), paths=paths)
    project.open(7, {"vssync.yaml": None})
    end = project.review(7)
    assert (end.code, end.error) == (0, "")
    comment = text_of(project.comments(7)[0])
    for part in ("`vssync.yaml` goes. What it made stays live: `docs`", "`removed: delete`", "`vssync destroy`"):
        assert part in comment
    before = project.git("rev-parse", "main")
    project.merge(7)
    end = project.job("apply", before=before)
    assert (end.code, end.error) == (0, "")
    gone = f"`docs`. To delete it, run `vssync destroy` with the manifest of {before[:7]}"
    assert f"is gone. What it made stays live: {gone}" in text_of(end.summary)


def test_a_manifest_that_never_was_is_an_error(make: MakeProject) -> None:
    project = make()
    project.given["paths"] = ("typo",)
    project.open(7, NEW)
    assert project.review(7).code == 1


def test_settings_are_shown_beside_an_error(make: MakeProject) -> None:
    project = make()
    project.open(7, {"vssync.yaml": MANIFEST.replace("{files", "{guards: {max_delete: 100%}, files")})
    (project.tree / ".vssync/local/service.db").write_bytes(b"no database")
    assert project.review(7).code == 1
    comment = text_of(project.comments(7)[0])
    assert comment.index("Settings that decide what an apply may do") < comment.index("could not be planned")


def test_an_apply_that_is_interrupted_names_the_manifests_that_it_did_not_come_to(make: MakeProject) -> None:
    files = {f"{name}/{path}": text for name in ("a", "b") for path, text in PAGES.items()}
    files |= {f"{name}/vssync.yaml": MANIFEST.replace("kb", f"kb-{name}") for name in ("a", "b")}
    project = make(files=files)
    project.open(7, {"a/docs/0.md": "new\n", "b/docs/0.md": "new\n"})
    project.merge(7)
    watcher = Interrupting()
    project.given["watch"] = lambda: nullcontext(watcher)
    end = project.job("apply")
    assert end.code == 4
    for text in (text_of(end.summary), text_of(project.comments(7)[-1])):
        assert "Interrupted: the rest was skipped" in text
        assert "`kb-b`: nothing was written** ```text the run was interrupted before this one" in " ".join(text.split())
    project.given.pop("watch")
    assert "1 replaced" in project.job("apply", unexplained=True).summary


def test_a_job_that_is_cancelled_takes_the_place_of_an_earlier_comment(make: MakeProject) -> None:
    project = make()
    project.open(7, NEW)
    assert project.review(7).code == 0

    def cancel() -> None:
        raise KeyboardInterrupt

    project.fake.interludes.append(("GET .*/labels", cancel))
    with pytest.raises(KeyboardInterrupt):
        project.review(7)
    (comment,) = project.comments(7)
    assert "the job was cancelled" in comment
    assert "docs/0.md" not in comment


@pytest.mark.parametrize(("status", "code"), [(401, 0), (403, 1)])
def test_a_service_that_wants_a_key_where_none_is_set_gives_way_to_git(
    make: MakeProject, status: int, code: int
) -> None:
    project = make()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(status)

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        service = f"service: {{provider: compatible, data_url: 'http://127.0.0.1:{server.server_port}/v1'}}\n"
        project.open(7, {**NEW, "vssync.yaml": MANIFEST + service})
        project.settings |= {"environment": {}, "limits": "requests=0"}
        end = project.review(7)
        server.shutdown()
    comment = text_of(project.comments(7)[0])
    assert (end.code, "No service was asked: no key is set, and it answered 401" in comment) == (code, not code)
    assert ("docs/0.md" in comment) == (not code)


@BOTH
def test_a_force_push_after_the_plan_takes_the_label_with_it(
    make: MakeProject, fake: type[FakeGitHub | FakeGitLab]
) -> None:
    """Also if nobody looks again before the merge: the apply asks anew."""
    project = make(fake())
    project.open(7, {"docs/9.md": "new\n"})
    project.label(7, LABEL, "rita")
    assert project.review(7).code == 0
    project.git("checkout", "-q", project.branch_of(7))
    project.write(GONE)
    project.git("add", "-A")
    project.git("commit", "-q", "--amend", "-m", "another change")
    forced = {"forced": True} if fake is FakeGitHub else {}
    project.fake.push(project.branch_of(7), project.head, "mona", **forced)
    project.merge(7)
    end = project.job("apply")
    assert (end.code, "before the last push" in text_of(end.summary), "Apply:" in end.log) == (3, True, False)


def test_of_two_applies_at_once_one_waits_or_writes_nothing(make: MakeProject) -> None:
    project = make()
    project.commit(NEW)
    settings = Settings(environment=dict(os.environ))
    with open_session(settings, load_manifest(settings)) as session, locked_journal(session):
        end = project.job("apply")
    assert (end.code, "Apply:" in end.log) == (3, False)
    assert "1 replaced" in project.job("apply", before=project.git("rev-parse", "HEAD^")).summary


def test_a_branch_name_writes_no_line_of_its_own(make: MakeProject) -> None:
    project = make()
    assert isinstance(project.fake, FakeGitHub)
    forge = project.fake.open_job(project.folder, "push", repository={"default_branch": "trunk"})
    forge.event = replace(forge.event, branch='it\'s-"x"\n::add-mask::y', is_default_branch=False)
    for name in ("apply", "sweep"):
        end = project.do(name, forge)
        assert (end.code, "\n" in end.error) == (64, False)
