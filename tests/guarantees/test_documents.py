"""Documents as people have them, through the real client: what searches filter by, and what a plan says of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tests.guarantees.test_converge import assert_nothing_to_do
from tests.manifest.builders import write_files
from tests.planner.builders import desired_file, live_copy, plan_store
from tests.simulation.judged import apply_plan, make_plan_now
from tests.sources.test_git import DAY, git, start_repository
from tests.support import Silent, open_test_session
from vssync.commands import plan as planning
from vssync.commands.plan import with_other_line_ends
from vssync.commands.status import trace_files
from vssync.errors import ManifestError
from vssync.model.marks import KEY
from vssync.model.plan import Action, Note, NoteKind, Options, Plan, Reason
from vssync.model.questions import AttributeFilter
from vssync.model.service import ServiceSpec
from vssync.model.state import Scalar
from vssync.planner.content_digest import note_line_ends, paths_of_changed_content
from vssync.render.layout import View
from vssync.render.plan_text import plan_text
from vssync.sources.load import load_sources

MANIFEST = """\
version: 1
owner: documents
stores:
  docs:
    skip: [broken]
    formats: {.mdx: .md}
    attributes:
      title: {from: [front_matter, heading]}
      group: {from: front_matter.params.group}
      published: {from: front_matter.date, as: epoch}
      tags: {from: front_matter, join: "|"}
    files: [{path: "*.{md,mdx}"}]
    overrides: [{match: odd.md, attributes: {title: null, group: null, tags: null, published: 1}}]
"""
PAGES: dict[str, str | bytes] = {
    "yaml.md": "---\ntitle: In YAML\ndate: 2024-01-31\ntags: [a, b]\nparams: {group: How to}\n---\nwords\n",
    "toml.md": "+++\ntitle = 'In TOML'\ndate = 2024-01-31T00:00:00Z\ntags = ['a', 'b']\n+++\nwords\n",
    "json.md": '{"title": "In JSON", "params": {"group": "How to"}}\nwords\n',
    "wide.md": "---\ntitle: Größe\n---\nwords\n".encode("utf-16"),
    "page.mdx": "import X from 'x'\n\n# A *component*\n\nwords\n",
    "odd.md": "---\nwords: about: slides\n---\n",
    "bad.md": "---\ntitle: How to: win\n---\nwords\n",
    "old.md": "Größe of words\n".encode("latin-1"),
}


def apply_now(folder: Path) -> Plan:
    with open_test_session(folder) as (session, _):
        plan = make_plan_now(session, Options())
        assert apply_plan(session, plan, Silent()).converged
    return plan


def found_keys(folder: Path, name: str, value: Scalar) -> set[str]:
    """The keys of the files that a search with this filter finds."""
    with open_test_session(folder) as (session, _):
        (store,) = session.client.list_stores()
        wanted = AttributeFilter("eq", name, (value,))
        return {str(hit.attributes[KEY]) for hit in session.client.search_store(store.id, "words", 50, wanted)}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_files(tmp_path, {"vssync.yaml": MANIFEST, **PAGES})
    apply_now(tmp_path)
    return tmp_path


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("name", "value", "keys"),
    [
        ("title", "In YAML", {"yaml.md"}),
        ("title", "In TOML", {"toml.md"}),
        ("title", "In JSON", {"json.md"}),
        ("title", "Größe", {"wide.md"}),
        ("title", "A component", {"page.mdx"}),
        ("group", "How to", {"yaml.md", "json.md"}),
        ("published", 1_706_659_200, {"yaml.md", "toml.md"}),
        ("published", 1, {"odd.md"}),
        ("tags", "a|b", {"yaml.md", "toml.md"}),
    ],
)
def test_searches_filter_by_what_documents_say(folder: Path, name: str, value: Scalar, keys: set[str]) -> None:
    assert found_keys(folder, name, value) == keys


def test_kinds_are_sent_under_names_that_the_service_takes(folder: Path) -> None:
    with open_test_session(folder) as (session, _):
        (store,) = session.loaded.desired.stores
        names = {upload.filename for upload in session.client.list_uploads()}
    assert store.skipped == {"bad.md": "broken", "old.md": "broken"}
    assert (
        names == {file.filename for file in store.files} == {*PAGES, "page.mdx.md"} - {"page.mdx", "bad.md", "old.md"}
    )
    assert_nothing_to_do(folder)


DATED = MANIFEST.replace("from: front_matter.date", "from: [front_matter.date, git.date]")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A work tree with a file in a commit of 2001-09-10, and one in no commit."""
    tree = start_repository(tmp_path / "tree", {"vssync.yaml": DATED, "old.md": "# Old\n\nwords\n"})
    return write_files(tree, {"new.md": "# New\n\nwords\n", "own.md": PAGES["yaml.md"]})


def test_the_date_of_the_last_commit(tree: Path, tmp_path: Path) -> None:
    with open_test_session(tree) as (session, _):
        saved = make_plan_now(session, Options())
        planning.save_plan(saved, tmp_path / "saved.plan")
    git(tree, "commit", "-q", "--amend", "--no-edit", f"--date={1_000_000_000 + 9 * DAY} +0000")  # as a squash does
    with open_test_session(tree) as (session, _):
        fresh = planning.replan(session, planning.load_plan(tmp_path / "saved.plan"))
        assert apply_plan(session, fresh, Silent()).converged
        attributes = {file.key: file.attributes.get("published") for file in session.loaded.desired.stores[0].files}
        traced = {
            traced.file.key: traced.origins.get("attributes.published", "") for traced in trace_files(session.loaded)
        }
    assert attributes == {"old.md": 1_000_771_200, "new.md": None, "own.md": 1_706_659_200}
    assert traced["old.md"].endswith("vssync.yaml:10:18, git.date of old.md")
    assert traced["own.md"].endswith(", front_matter.date of own.md")
    assert found_keys(tree, "published", 1_000_771_200) == {"old.md"}
    assert_nothing_to_do(tree)


def test_without_a_whole_history_there_are_no_dates(tree: Path, tmp_path: Path) -> None:
    git(tree, "commit", "-q", "--allow-empty", "-m", "two", day=2)
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{tree}", "shallow")
    with pytest.raises(ManifestError, match=r"vssync.yaml:10:18: `git.date`: .* is a shallow clone.*fetch-depth: 0"):
        load_sources(tmp_path / "shallow")
    plain = write_files(tmp_path / "plain", {"vssync.yaml": DATED, "old.md": "words"})
    with pytest.raises(ManifestError, match=r"vssync.yaml:10:18: .*git's dates cannot be read: there is no \.git"):
        load_sources(plain)
    load_sources(write_files(plain, {"vssync.yaml": MANIFEST}))


@pytest.mark.parametrize("live_is_crlf", [True, False])
def test_a_checkout_with_other_line_ends_is_named(tmp_path: Path, live_is_crlf: bool) -> None:
    text, edited = "# A\n\nwords\n", "# B\n\nwords\n"
    ends = ("\n", "\r\n") if live_is_crlf else ("\r\n", "\n")
    before, after = (
        {
            name: body.replace("\n", end).encode()
            for name, body in {"a.md": text, "b.md": text + "x", "c.md": text}.items()
        }
        for end in reversed(ends)
    )
    write_files(tmp_path, {"vssync.yaml": MANIFEST, **before})
    apply_now(tmp_path)
    write_files(tmp_path, {**after, "c.md": edited})
    plan = apply_now(tmp_path)
    (note,) = [note for note in plan.stores[0].notes if note.kind is NoteKind.LINE_ENDS]
    assert (note.count, note.detail) == (2, "a.md and b.md")
    assert ".gitattributes" in plan_text(plan, View())


@pytest.mark.parametrize("content", [b"a\nb\n", b"a\r\nb\r\n", b"", b"no end", "ä\r\n".encode()])
def test_other_line_ends_and_back(content: bytes) -> None:
    assert with_other_line_ends(with_other_line_ends(content)) == content


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-be", "utf-16-le"])
def test_git_changes_no_line_ends_in_utf_16(codec: str) -> None:
    content = "a\r\nb\n\u0d0a".encode(codec)
    assert with_other_line_ends(content) == content


def test_only_a_copy_of_the_same_text_counts() -> None:
    file = desired_file(content="a\r\n")
    for live, noted in (("a\n", True), ("b\n", False)):
        plan = Plan("kb", stores=(plan_store([file], [live_copy(desired_file(content=live))]),), service=ServiceSpec())
        assert paths_of_changed_content(plan) == {"a.md"}
        digests = {"a.md": hashlib.sha256(b"a\n").hexdigest(), "b.md": ""}
        notes = note_line_ends(plan, digests).stores[0].notes
        assert notes == ((Note(NoteKind.LINE_ENDS, detail="a.md"),) if noted else ())


def test_a_page_that_became_a_draft_leaves_and_is_found_no_more(folder: Path) -> None:
    write_files(folder, {"yaml.md": str(PAGES["yaml.md"]).replace("---\n", "---\ndraft: true\n", 1)})
    (change,) = apply_now(folder).stores[0].files
    assert (change.key, change.action, change.reasons) == ("yaml.md", Action.DELETE, (Reason.DRAFT,))
    assert "yaml.md" not in found_keys(folder, "tags", "a|b")
    assert_nothing_to_do(folder)
    write_files(folder, PAGES)
    assert [change.action for change in apply_now(folder).changes()] == [Action.CREATE]
