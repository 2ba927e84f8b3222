"""A store made by hand is taken over: what it serves afterwards is what the manifest says, whatever went wrong."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.guarantees.test_converge import assert_nothing_to_do
from tests.guarantees.test_drift import attach
from tests.simulation.judged import apply_plan, make_plan_now
from tests.support import Silent, open_test_session
from vssync.api.client import Client
from vssync.commands import compare
from vssync.model.marks import KEY, Mark, Origin, StoreMark, UnreadableMark
from vssync.model.plan import Action, NoteKind, Options, Plan, Reason
from vssync.model.report import Report

TEXTS = {"a.md": "# a\nOne two three.\n", "b.md": "# b\nFour five six.\n"}
OTHER = "# a\nOne two THREE.\n"  # as long as a.md
MANIFEST = """\
version: 1
owner: kb
stores:
  docs:
    files: [{path: "*.md"}]
"""
ADOPT = Options(adopt=True)
REFUSES = "local,refuses-content=assistants"


def made_by_hand(folder: Path, texts: Mapping[str, str] = TEXTS, provider: str = "local") -> dict[str, str]:
    """Local files, and a store in which somebody put files of these texts; gives the ids of those."""
    (folder / "vssync.yaml").write_text(MANIFEST)
    for name, text in TEXTS.items():
        (folder / name).write_text(text)
    with open_test_session(folder, provider=provider) as (session, _):
        store = session.client.create_store({"name": "docs"})
        return {name: attach(session.client, store.id, name, {}, content=text.encode()) for name, text in texts.items()}


def apply_now(folder: Path, options: Options = ADOPT, **world: Any) -> tuple[Plan, Report]:
    with open_test_session(folder, **world) as (session, _):
        plan = make_plan_now(session, options)
        return plan, apply_plan(session, plan, Silent())


def served(client: Client) -> dict[str, str]:
    """The texts that the store holds, by the name of their key."""
    store = client.list_stores()[0].id
    files = client.list_files(store)
    return {str(file.attributes.get(KEY)): "".join(client.get_text(store, file.id)) for file in files}


def store_mark(client: Client) -> StoreMark | UnreadableMark | None:
    return client.list_stores()[0].mark


def actions(plan: Plan) -> dict[str, tuple[Action, tuple[Reason, ...]]]:
    return {change.key: (change.action, change.reasons) for change in plan.stores[0].files}


def test_equal_names_and_sizes_are_no_equal_bytes(tmp_path: Path) -> None:
    ids = made_by_hand(tmp_path, {**TEXTS, "a.md": OTHER})
    plan, report = apply_now(tmp_path)
    assert actions(plan) == {
        "a.md": (Action.REPLACE, (Reason.CONTENT_CHANGED, Reason.UNMARKED)),
        "b.md": (Action.ADOPT, (Reason.UNMARKED,)),
    }
    assert report.converged
    with open_test_session(tmp_path) as (session, _):
        assert served(session.client) == TEXTS
        assert session.client.get_upload(ids["a.md"]).filename == "a.md"
        mark = store_mark(session.client)
        assert isinstance(mark, StoreMark)
        assert not mark.is_adopting
        marks = [file.mark for file in session.client.list_files(session.client.list_stores()[0].id)]
        assert {mark.origin for mark in marks if isinstance(mark, Mark)} == {Origin.UPLOADED, Origin.ADOPTED}
        assert not any(mark.is_uncompared for mark in marks if isinstance(mark, Mark))
    assert_nothing_to_do(tmp_path)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (TEXTS, (Action.ADOPT, (Reason.UNMARKED,))),
        ({**TEXTS, "a.md": OTHER}, (Action.ADOPT, (Reason.UNMARKED, Reason.UNCOMPARED))),
    ],
    ids=["confirmed", "not refuted"],
)
def test_a_text_confirms_and_never_refutes(
    tmp_path: Path, texts: Mapping[str, str], expected: tuple[Action, tuple[Reason, ...]]
) -> None:
    made_by_hand(tmp_path, texts, REFUSES)
    with open_test_session(tmp_path, provider=REFUSES) as (session, recorder):
        plan = make_plan_now(session, ADOPT)
        assert actions(plan)["a.md"] == expected
        asked = [path for _, path in recorder.seen if path.startswith("/v1/files/") and path.endswith("/content")]
        assert len(asked) == 1, "the first refusal ends asking for bytes"
        assert apply_plan(session, plan, Silent()).converged
        uncompared = [note.count for note in make_plan_now(session, Options()).stores[0].notes]
        assert uncompared == ([1] if Reason.UNCOMPARED in expected[1] else [])


def test_bytes_are_read_once(tmp_path: Path) -> None:
    """Unless what was kept of that is in another form, such as a newer vssync's."""
    made_by_hand(tmp_path)
    reads: list[int] = []
    for form in (str, str, lambda digest: {"sha256": digest}, lambda digest: None):
        with open_test_session(tmp_path) as (session, recorder):
            kept = session.state_folder / "digests.json"
            if reads:
                kept.write_text(json.dumps({id_: form(each) for id_, each in json.loads(kept.read_text()).items()}))
            changes = actions(make_plan_now(session, ADOPT)).values()
            assert {reasons for _, reasons in changes} == {(Reason.UNMARKED,)}
            reads.append(sum(path.endswith("/content") for _, path in recorder.seen))
    assert reads == [2, 0, 2, 2]


def test_much_is_read_only_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made_by_hand(tmp_path)
    monkeypatch.setattr(compare, "MAX_UNASKED_BYTES", 30)
    with open_test_session(tmp_path) as (session, recorder):
        plan = make_plan_now(session, ADOPT)
        assert {reasons for _, reasons in actions(plan).values()} == {(Reason.UNMARKED, Reason.UNCOMPARED)}
        assert all("--compare reads 38 bytes" in change.detail for change in plan.stores[0].files)
        assert not any(path.endswith("/content") for _, path in recorder.seen)
        compared = make_plan_now(session, Options(adopt=True, compare=True))
        assert {reasons for _, reasons in actions(compared).values()} == {(Reason.UNMARKED,)}


@pytest.mark.parametrize(
    ("faults", "left"),
    [("status=400:POST:/vector_stores/*/files/*", "b.md"), ("status=400:POST:/files", "a.md")],
    ids=["marks", "uploads"],
)
def test_what_one_run_leaves_the_next_adopts(tmp_path: Path, faults: str, left: str) -> None:
    made_by_hand(tmp_path, {**TEXTS, "a.md": OTHER + "longer"})
    _, report = apply_now(tmp_path, faults=(faults,))
    assert not report.converged
    with open_test_session(tmp_path) as (session, _):
        mark = store_mark(session.client)
        assert isinstance(mark, StoreMark)
        assert mark.is_adopting
        waiting = make_plan_now(session, Options()).stores[0]
        assert [note.key for note in waiting.notes if note.kind is NoteKind.ADOPTABLE] == [left]
        assert waiting.files == ()
        assert waiting.change is None
    assert apply_now(tmp_path)[1].converged
    with open_test_session(tmp_path) as (session, _):
        assert served(session.client) == TEXTS
    assert_nothing_to_do(tmp_path)


def test_what_comes_after_adoption_is_taken_only_if_its_bytes_are_equal(tmp_path: Path) -> None:
    made_by_hand(tmp_path)
    apply_now(tmp_path)
    (tmp_path / "c.md").write_text("# c\n")
    with open_test_session(tmp_path) as (session, _):
        theirs = attach(session.client, session.client.list_stores()[0].id, "c.md", {}, content=b"# C, of others\n")
    plan, report = apply_now(tmp_path)
    assert actions(plan) == {"c.md": (Action.CREATE, (Reason.MISSING,))}
    assert report.converged
    with open_test_session(tmp_path) as (session, _):
        assert session.client.get_file(session.client.list_stores()[0].id, theirs).mark is None


def test_a_manifest_that_adopts_takes_what_is_there_and_later_only_equal_bytes(tmp_path: Path) -> None:
    ids = made_by_hand(tmp_path, {**TEXTS, "b.md": "# b\n"})
    (tmp_path / "vssync.yaml").write_text(MANIFEST + "    adopt: true\n")
    plan, report = apply_now(tmp_path, Options())
    assert {key: action for key, (action, _) in actions(plan).items()} == {"a.md": Action.ADOPT, "b.md": Action.REPLACE}
    assert report.converged
    assert_nothing_to_do(tmp_path)
    (tmp_path / "c.md").write_text("# c\n")
    (tmp_path / "d.md").write_text("# d\nSeven eight.\n")
    with open_test_session(tmp_path) as (session, _):
        store = session.client.list_stores()[0].id
        equal = attach(session.client, store, "x.md", {}, content=b"# c\n")
        attach(session.client, store, "d.md", {}, content=b"# d\nSeven NINE!!\n")
    plan, report = apply_now(tmp_path, Options())
    assert {key: action for key, (action, _) in actions(plan).items()} == {"c.md": Action.ADOPT, "d.md": Action.CREATE}
    assert report.converged
    with open_test_session(tmp_path) as (session, _):
        live = {file.id for file in session.client.list_files(session.client.list_stores()[0].id)}
    assert {ids["a.md"], equal} <= live
    assert len(live) == 5  # with the stranger, which is left alone
