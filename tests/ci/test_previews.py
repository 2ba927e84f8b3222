"""`vssync ci preview` and `sweep`: a request's own environment, beside stores that nothing may touch."""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.ci.fake_forge import Trouble
from tests.ci.fake_github import FakeGitHub
from tests.ci.fake_gitlab import FakeGitLab
from tests.ci.project import Interrupting, Project
from tests.ci.repository import Files
from tests.ci.test_flows import BOTH, text_of
from tests.support import Silent
from vssync.ci.previews import as_preview, preview_key, preview_number, why_swept
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.errors import Refused
from vssync.model.plan import Options
from vssync.model.service import ServiceSpec
from vssync.model.state import Desired, DesiredStore, LiveFile, LiveStore, StoreStatus

MANIFEST = """\
version: 1
owner: kb
stores: {docs: {name: 'docs-${env}', files: [{path: 'docs/**/*.md'}]}}
environments: {prod: {stores: {docs: {protect: true}}}, pr-*: {}}
"""
PAGES: Files = {"vssync.yaml": MANIFEST, **{f"docs/{number}.md": f"# {number}\n" for number in range(3)}}
CHANGE: Files = {"docs/0.md": "new\n"}


class Previews(Project):
    """A project with live stores of production, of another owner, and of nobody, at the same service."""

    def __init__(self, folder: Path, fake: FakeGitHub | FakeGitLab, files: Files, monkeypatch: pytest.MonkeyPatch):
        super().__init__(folder, fake, files, monkeypatch)
        self.write({"other.yaml": MANIFEST.replace("owner: kb", "owner: other").replace("docs-$", "other-$")})
        for path, env in (("vssync.yaml", "prod"), ("other.yaml", "pr-7")):
            self.apply_by_hand(path, env)
        with self.session("vssync.yaml", "prod") as session:
            session.client.create_store({"name": "docs"})
        (self.tree / "other.yaml").unlink()

    def session(self, path: str = "vssync.yaml", env: str = "prod") -> Any:
        settings = Settings(path, env=env)
        return open_session(settings, load_manifest(settings))

    def apply_by_hand(self, path: str, env: str) -> None:
        with self.session(path, env) as session:
            assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged

    def live_stores(self) -> dict[str, tuple[str, tuple[LiveFile, ...]]]:
        """Each store's id and files, by its owner; that of nobody has none."""
        self.git("checkout", "-q", "main")
        with self.session() as session:
            return {
                store.owner: (store.id, session.client.list_all_files(store).files)
                for store in session.client.list_stores()
            }

    def previews(self) -> set[str]:
        return {owner for owner in self.live_stores() if owner.startswith("kb/pr-")}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake: type[FakeGitHub | FakeGitLab]) -> Previews:
    project = Previews(tmp_path, fake(), PAGES, monkeypatch)
    project.open(7, CHANGE)
    return project


@pytest.fixture
def fake() -> type[FakeGitHub | FakeGitLab]:
    return FakeGitHub


@pytest.mark.wide(2)
@BOTH
def test_from_open_to_closed(project: Previews) -> None:
    others = project.live_stores()
    end = project.review(7, "preview")
    assert (end.code, end.error) == (0, "")
    live = project.live_stores()
    store_id, files = live.pop("kb/pr-7")
    assert live == others, "nothing else is touched"
    uploads = {file.id for _, theirs in others.values() for file in theirs}
    assert len(files) == 3
    assert uploads.isdisjoint(file.id for file in files), "no upload is shared, though two files are equal"
    (comment,) = project.comments(7)
    for part in (
        "the preview `pr-7` is up",
        f"| `kb / docs` | `{store_id}` | 3 |",
        "vssync search -e pr-7 'a question'",
    ):
        assert part in text_of(comment)
    assert f'{{"kb/docs": "{store_id}"}}' in end.outputs
    project.push(7, {"docs/0.md": None})
    assert project.review(7, "preview").code == 0
    assert (project.live_stores()["kb/pr-7"][0], len(project.live_stores()["kb/pr-7"][1])) == (store_id, 2)
    assert f"| `kb / docs` | `{store_id}` | 2 |" in text_of(*project.comments(7))
    project.fake.close(7)
    for gone in (1, 0):
        assert project.review(7, "preview", closed=True).code == 0
        assert project.live_stores() == others
        assert len(project.comments(7)) == gone
    with project.session() as session:
        uploads |= {file.id for file in session.client.list_uploads()}
        assert len(uploads) == 6, "those of the preview went with it"


def test_the_command_to_search_it_gives_the_variables(project: Previews) -> None:
    project.push(7, {"vssync.yaml": f"{MANIFEST}variables: {{team: null}}\n"})
    project.settings["variables"] = {"team": "a b"}
    assert project.review(7, "preview").code == 0
    assert "vssync search -e pr-7 --var 'team=a b' 'a question'" in text_of(*project.comments(7))


def test_a_preview_is_deleted_though_its_documents_cannot_be_read(project: Previews) -> None:
    """No text is needed for that, and nobody mends the documents of a request that is closed."""
    assert project.review(7, "preview").code == 0
    looks_up = MANIFEST.replace("{name:", "{attributes: {title: {from: front_matter}}, name:")
    project.push(7, {"vssync.yaml": looks_up, "docs/0.md": "---\ntitle: [\n---\n"})
    assert "error file=docs/0.md" in project.review(7, "preview").log
    assert project.previews() == {"kb/pr-7"}
    project.fake.close(7)
    assert project.review(7, "preview", closed=True).code == 0
    assert project.previews() == set()


def test_what_is_interrupted_makes_and_deletes_no_more(project: Previews) -> None:
    """Neither of the next manifest, nor the next preview."""
    project.push(7, {"z/vssync.yaml": MANIFEST.replace("kb", "kb-z").replace("docs-$", "z-$"), "z/docs/a.md": "a\n"})
    watcher = Interrupting()
    project.given["watch"] = lambda: nullcontext(watcher)
    end = project.review(7, "preview")
    assert (end.code, "kb, pr-7" in end.log, "kb-z, pr-7" in end.log) == (4, True, False)
    assert "the run was interrupted before this one" in text_of(*project.comments(7))
    project.given.pop("watch")
    for number in (8, 9):
        project.open(number, {"docs/new.md": f"{number}\n"})
        assert project.review(number, "preview").code == 0
        project.fake.close(number)
    watcher.has_interrupted = False
    project.given["watch"] = lambda: nullcontext(watcher)
    end = project.job("sweep")
    assert (end.code, "kb/pr-9" in project.previews()) == (4, True)
    assert "Kept: `pr-7`, `pr-9`." in text_of(end.summary)
    project.given.pop("watch")
    assert project.job("sweep").code == 0
    assert "kb/pr-9" not in project.previews()


@pytest.mark.parametrize("fake", [FakeGitHub, pytest.param(FakeGitLab, marks=pytest.mark.slow)])
def test_a_sweep_deletes_what_was_left(project: Previews) -> None:
    for number in (8, 9, 10):
        project.open(number, {"docs/new.md": f"{number}\n"})
    project.open(11, {"docs/new.md": "11\n"})
    for number in (7, 8, 9, 10):
        assert project.review(number, "preview").code == 0
    project.merge(8, "squash")
    project.fake.close(9)
    project.apply_by_hand("vssync.yaml", "pr-99")  # of a request that never was
    others = project.live_stores()
    end = project.job("sweep")
    assert (end.code, "true" in end.outputs) == (0, True)
    assert project.previews() == {"kb/pr-7", "kb/pr-10", "kb/pr-99"}
    assert project.live_stores() == {
        owner: live for owner, live in others.items() if owner not in ("kb/pr-8", "kb/pr-9")
    }
    assert "`pr-9`: its request is closed" in text_of(end.summary)
    assert "Kept: `pr-7`, `pr-10`, `pr-99`." in text_of(end.summary)
    left = "Left, since no manifest of this branch has such an owner and environment: `other/pr-7`."
    assert left in text_of(end.summary)
    assert "request 99 is judged by its age" in end.log
    assert "is gone" in text_of(*project.comments(9))
    project.given["max_age"] = timedelta(days=-999999)  # by the local service's clock, which is the real one
    assert project.job("sweep").code == 0
    assert project.previews() == set()
    assert "not applied for" in text_of(*project.comments(7))
    assert project.live_stores().keys() == {"kb/prod", "other/pr-7", ""}


def test_a_sweep_names_a_preview_whose_owner_a_request_made_up(project: Previews) -> None:
    project.push(7, {"vssync.yaml": MANIFEST.replace("owner: kb", "owner: made-up")})
    assert project.review(7, "preview").code == 0
    project.fake.close(7)
    live = project.live_stores()
    assert {"made-up/pr-7", "other/pr-7", "kb/prod", ""} == live.keys()
    end = project.job("sweep")
    assert (end.code, "false" in end.outputs, project.live_stores()) == (0, True, live)
    assert "such an owner and environment: `made-up/pr-7` and `other/pr-7`." in text_of(end.summary)


def test_a_request_closed_while_its_preview_is_applied_has_none(project: Previews) -> None:
    asked = r"GET .*/pulls/7$"
    project.fake.interludes += [(asked, lambda: None), (asked, lambda: project.fake.close(7))]
    assert project.review(7, "preview").code == 0
    assert project.previews() == set()
    assert project.review(7, "preview").code == 0, "run again by hand"
    assert project.previews() == set()


def test_a_request_opened_again_keeps_its_preview(project: Previews) -> None:
    assert project.review(7, "preview").code == 0
    end = project.review(7, "preview", closed=True)
    assert (end.code, "opened again" in end.log) == (0, True)
    assert project.previews() == {"kb/pr-7"}


def test_an_environment_that_is_stopped_goes_though_its_request_is_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Previews(tmp_path, FakeGitLab(), PAGES, monkeypatch)
    project.open(7, CHANGE)
    assert project.review(7, "preview").code == 0
    assert project.review(7, "preview", closed=True).code == 0
    assert project.previews() == set()
    assert "its environment was stopped" in text_of(*project.comments(7))


def test_a_forge_that_may_not_be_asked_leaves_the_event(project: Previews) -> None:
    assert isinstance(project.fake, FakeGitHub)
    project.fake.permissions = {"contents": "read"}
    assert project.review(7, "preview").code == 0
    assert project.previews() == {"kb/pr-7"}
    assert (project.job("sweep").code, project.previews()) == (0, {"kb/pr-7"})
    assert project.review(7, "preview", closed=True).code == 0
    assert project.previews() == set()


def test_a_fork_gets_no_preview(project: Previews) -> None:
    project.open(8, {"docs/new.md": "8\n"}, author="mallory", fork=True)
    end = project.review(8, "preview")
    assert (end.code, end.requests, project.previews()) == (0, (), set())


def test_the_environment_given_is_not_that_of_a_preview(project: Previews) -> None:
    """A workflow sets it for all of its jobs."""
    project.settings["env"] = "prod"
    assert (project.review(7, "preview").code, project.previews()) == (0, {"kb/pr-7"})
    project.fake.close(7)
    assert (project.job("sweep").code, project.previews()) == (0, set())


BY_NAME = MANIFEST.replace("pr-*: {}", "pr-7: {}")
REFUSED: dict[str, tuple[str, str]] = {
    "by name": (BY_NAME, "declared by its name"),
    "id": (MANIFEST.replace("{name", "{id: vs_1, name"), "with `id`, its preview would be a store that is there"),
    "external": (MANIFEST.replace("{name", "{external: true, id: vs_1, name"), "with `external`"),
    "adopt": (MANIFEST.replace("{name", "{adopt: true, name"), "would take over what is there already"),
    "protect": (MANIFEST.replace("{name", "{protect: true, name"), "could not be deleted"),
    "broken": ("stores: [\n", "vssync.yaml:"),
}


@pytest.mark.wide(3)
@pytest.mark.parametrize(("manifest", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_preview_of_its_own_is_refused(project: Previews, manifest: str, says: str) -> None:
    others = project.live_stores()
    project.push(7, {"vssync.yaml": manifest})
    end = project.review(7, "preview")
    assert (end.code in (1, 3), says in text_of(end.summary)) == (True, True)
    assert "failed" in text_of(*project.comments(7))
    project.git("checkout", "-q", "main")
    assert project.live_stores() == others


@pytest.mark.parametrize("manifest", [MANIFEST.replace(", pr-*: {}", ""), re.sub("environ.*|-\\S+env.", "", MANIFEST)])
def test_a_manifest_without_a_pattern_for_it_has_no_preview(project: Previews, manifest: str) -> None:
    project.push(7, {"vssync.yaml": manifest})
    for closed in (False, True):
        assert project.review(7, "preview", closed=closed).code == 0
        assert (project.comments(7), project.previews()) == ([], set())
        project.fake.close(7)


def test_a_store_that_was_to_be_removed_elsewhere_stays(project: Previews) -> None:
    """It is pinned by its id, and bears nobody's mark; a store of the preview that is not declared any more goes."""
    assert project.review(7, "preview").code == 0
    unmarked, _ = project.live_stores()[""]
    old, faq = f"old: {{removed: delete, id: {unmarked}}}", "faq: {name: 'f-${env}', files: [{path: docs/1.md}]}"
    project.push(7, {"vssync.yaml": re.sub("stores: .*", f"stores: {{{old}, {faq}}}", MANIFEST, count=1)})
    end = project.review(7, "preview")
    assert (end.code, end.error) == (0, "")
    assert project.live_stores()[""][0] == unmarked
    with project.session() as session:
        names = sorted(store.claim for store in session.client.list_stores())
    assert ("kb/pr-7", "faq") in names
    assert ("kb/pr-7", "docs") not in names


def test_what_fails_is_told_and_done_by_the_next_run(project: Previews) -> None:
    project.push(
        7, {"docs/empty.md": "x\n", "vssync.yaml": MANIFEST.replace("pr-*: {}", "pr-*: {service: {provider: openai}}")}
    )
    end = project.review(7, "preview")
    assert (end.code, "no preview: bearer key: not set" in end.log, project.comments(7)) == (0, True, [])
    project.fake.troubles += [Trouble("GET", "pulls/7$", 500)] * 4
    end = project.review(7, "preview")
    assert end.code == 1
    assert "`vssync ci` failed" in text_of(*project.comments(7))
    project.push(7, {"vssync.yaml": MANIFEST})
    assert project.review(7, "preview").code == 0
    assert "is up" in text_of(*project.comments(7))


# The rules


@pytest.mark.parametrize(
    ("name", "number"), [("pr-7", 7), ("pr-0", 0), ("pr-07", 0), ("pr-7x", 0), ("prod", 0), ("pr-", 0), ("xpr-7", 0)]
)
def test_a_preview_is_known_by_its_name(name: str, number: int) -> None:
    assert preview_number(name) == number


@pytest.mark.parametrize(
    ("declared", "key"),
    [(["prod", "pr-*"], "pr-*"), (["*"], "*"), (["pr-?"], "pr-?"), (["prod", "dev-*"], ""), ([], "")],
)
def test_only_a_pattern_makes_a_preview(declared: list[str], key: str) -> None:
    assert preview_key(declared, "pr-7") == key
    with pytest.raises(Refused, match="declared by its name"):
        preview_key(["pr-7", *declared], "pr-7")


def test_all_that_keeps_a_preview_from_being_one_is_told_at_once() -> None:
    stores = (DesiredStore("a", "a", id="vs_1", protect=True), DesiredStore("b", "b", adopt=True))
    desired = Desired("kb/pr-7", ServiceSpec("local"), stores)
    with pytest.raises(Refused) as raised:
        as_preview(desired, "pr-*")
    assert [line.split("`")[1] for line in str(raised.value).splitlines()] == ["id", "protect", "adopt"]
    assert "`pr-*: {stores: {a: {id: null}}}`" in str(raised.value)
    kept = replace(desired, stores=(DesiredStore("c", "c"),))
    assert as_preview(replace(kept, removed=stores), "pr-*") == kept


NOW = datetime(2026, 11, 27, tzinfo=UTC)
STAMP = {"vssync_applied": "2026-11-20T00:00:00Z;;;"}


@pytest.mark.parametrize(
    ("is_open", "days", "metadata", "why"),
    [
        (True, 3, {}, ""),
        (True, 30, {}, "it was not applied for 14 days"),
        (True, 30, STAMP, ""),
        (True, 3, {"vssync_applied": "nonsense"}, ""),
        (False, 0, {}, "its request is closed"),
        (None, 3, {}, ""),
        (None, 30, {}, "it was not applied for 14 days"),
    ],
)
def test_a_preview_is_swept_when_closed_or_old(
    is_open: bool | None, days: int, metadata: dict[str, str], why: str
) -> None:
    created = int((NOW - timedelta(days=days)).timestamp())
    store = LiveStore("vs_1", "a", StoreStatus.COMPLETED, created, metadata)
    assert why_swept([store], NOW, timedelta(days=14), is_open=is_open) == why
