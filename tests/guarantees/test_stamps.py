"""The stamp in a store's metadata: from which commit it was last applied in whole, and by whom."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.test_converge import assert_nothing_to_do
from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Silent, open_test_session
from vssync import __version__, planfile
from vssync.commands.apply import run_url_of, stamp_of
from vssync.model.marks import STORE_APPLIED, ApplyStamp, parse_stamp
from vssync.model.plan import Options
from vssync.planner.find_stores import match_stores
from vssync.render.wording import stamp_text

MANIFEST = """\
version: 1
owner: stamps
stores:
  docs: {files: [{path: "*.md"}]}
  logs: {files: [{path: "*.txt"}], prune: false}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "vssync.yaml").write_text(MANIFEST)
    for name in ("a.md", "b.md", "x.txt"):
        (tmp_path / name).write_text(f"# {name}\n")
    return tmp_path


def apply_now(folder: Path, faults: tuple[str, ...] = (), **options: Any) -> dict[str, ApplyStamp | None]:
    """The stamp of each store after an apply of commit 4f2a91c, which the report tells, too."""
    with open_test_session(folder, faults=faults) as (session, _):
        environment = {"GITHUB_SHA": "4f2a91c" * 5, "GITHUB_ACTOR": "jan", "GITHUB_RUN_ID": "981"}
        in_ci = replace(session, settings=replace(session.settings, environment=environment))
        plan = make_plan_now(in_ci, Options(**options))
        audit = apply_plan(in_ci, plan, Silent()).audit
    stamps = read_stamps(folder)
    assert {replace(stamp, time=audit.stamp.time) for stamp in stamps.values() if stamp} <= {audit.stamp}
    assert json.loads(planfile.dump(plan))["checksum"] == audit.plan_digest
    assert (audit.run_url, audit.version) == ("", __version__)
    return stamps


def read_stamps(folder: Path) -> dict[str, ApplyStamp | None]:
    with open_test_session(folder) as (session, _):
        stores = session.client.list_stores()
        ids = match_stores(session.loaded.desired, stores, Options()).ids
        texts = {store.id: store.metadata.get(STORE_APPLIED, "") for store in stores}
        return {key: parse_stamp(texts[store_id]) for key, store_id in ids.items()}


def test_a_store_says_from_which_commit_it_is(folder: Path) -> None:
    stamps = apply_now(folder)
    assert [(stamp.commit, stamp.actor, stamp.run) for stamp in stamps.values() if stamp] == [
        ("4f2a91c" * 5, "jan", "981"),
        ("4f2a91c" * 5, "jan", "981"),
    ]
    with open_test_session(folder) as (session, _):
        shown = [stamp_text(store.applied) for store in make_plan_now(session, Options()).stores]
    assert all(text.endswith(" UTC, 4f2a91c, by jan") for text in shown)
    assert_nothing_to_do(folder)
    assert read_stamps(folder) == stamps


def test_only_a_store_that_was_written_to_gets_a_new_stamp(folder: Path) -> None:
    before = apply_now(folder)
    (folder / "a.md").write_text("# edited\n")
    with open_test_session(folder) as (session, _):
        assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
    after = read_stamps(folder)
    assert after["logs"] == before["logs"]
    assert (after["docs"] or ApplyStamp()).commit == ""
    assert_nothing_to_do(folder)


@pytest.mark.parametrize(
    ("text", "faults", "options"),
    [
        (MANIFEST, (), {"targets": ("docs/a.md", "logs/x.txt")}),
        (MANIFEST, (), {"excludes": ("docs/a.md", "logs/x.txt")}),
        (MANIFEST, ("fails,file=a.md", "fails,file=x.txt"), {}),
        (MANIFEST.replace("files:", "metadata: {" + ", ".join(f"m{n}: v" for n in range(10)) + "}, files:"), (), {}),
    ],
    ids=["in part", "but for a file", "with failures", "with much metadata"],
)
def test_the_stamp_is_of_whole_stores_that_are_as_wanted(
    folder: Path, text: str, faults: tuple[str, ...], options: dict[str, Any]
) -> None:
    (folder / "vssync.yaml").write_text(text)
    stamps = apply_now(folder, faults, **options)
    assert all(stamp is None for stamp in stamps.values()) is (text == MANIFEST)


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", folder, *settings, *arguments], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_a_work_tree_tells_its_commit_and_whether_it_is_all(folder: Path) -> None:
    assert stamp_of(folder, {"USER": "jan"}) == ApplyStamp("", "jan", "")
    assert stamp_of(folder, {"CI_COMMIT_SHA": "a" * 40, "GITLAB_USER_LOGIN": "eva", "CI_PIPELINE_ID": "7"}) == (
        ApplyStamp("a" * 40, "eva", "7")
    )
    assert stamp_of(folder, {"GITHUB_ACTOR": "jan", "GITHUB_TRIGGERING_ACTOR": "eva", "USER": "runner"}).actor == "eva"
    git(folder, "init", "-q")
    assert stamp_of(folder, {"USER": "jan"}).actor == "jan"
    git(folder, "config", "user.name", "Eva Löwe; admin")
    assert stamp_of(folder, {"USER": "jan"}).actor == "Eva Löwe admin"
    assert stamp_of(folder, {"GITHUB_ACTOR": "eva", "USER": "runner"}).actor == "eva"
    assert stamp_of(folder, {}).commit == ""
    (folder / "handbook").mkdir()
    (folder / "handbook" / "c.md").write_text("# c\n")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    head = git(folder, "rev-parse", "HEAD")
    assert stamp_of(folder, {"GITHUB_SHA": "a" * 40}).commit == head
    (folder / ".vssync-plan").mkdir()
    (folder / ".vssync-plan" / "plan.json").write_text("{}")
    assert stamp_of(folder, {}).commit == head
    (folder / "d.md").write_text("# not added\n")
    assert stamp_of(folder, {}).commit == f"{head}+"
    assert stamp_of(folder / "handbook", {}).commit == head


IN_GITHUB = {"GITHUB_SERVER_URL": "https://github.com", "GITHUB_REPOSITORY": "o/r", "GITHUB_RUN_ID": "7"}
GITLAB_RUN = "https://git.example.com:8443/g/p/-/pipelines/7"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({}, ""),
        (IN_GITHUB, "https://github.com/o/r/actions/runs/7"),
        (IN_GITHUB | {"GITHUB_SERVER_URL": ""}, ""),
        ({"CI_PIPELINE_URL": GITLAB_RUN}, GITLAB_RUN),
        ({"CI_PIPELINE_URL": "https://jan:secret@git.example.com/g/p/-/pipelines/7"}, ""),
        ({"CI_PIPELINE_URL": "https://git.example.com/p?private_token=secret"}, ""),
        ({"CI_PIPELINE_URL": "javascript:alert(1)"}, ""),
    ],
)
def test_a_run_is_named_by_an_address_without_a_credential(environment: dict[str, str], url: str) -> None:
    assert run_url_of(environment) == url
