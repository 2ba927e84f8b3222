"""A store leaves as the manifest says: deleted, or given up with all that is in it, in every dialect."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.applier.world import Place, killed
from vssync.api.parse import AttachmentEntry
from vssync.errors import Refused
from vssync.model.convergence import find_convergence
from vssync.model.marks import without_ours
from vssync.model.plan import Action, Options, Reason
from vssync.model.state import AUTO, LiveFile, LiveStore

HEAD = "version: 1\nowner: kb\nstores:\n"
STAYS = "  other: {files: [{path: b.md}]}\n"
DOCS = "  docs: {files: [{path: '*.md'}], metadata: {team: help}, attributes: {lang: en}}\n"
ADOPTING = DOCS.replace("docs: {", "docs: {adopt: true, ")
TEXTS: dict[str, str | None] = {name: f"# {name}\nWords of {name[0]}.\n" for name in ("a.md", "b.md", "c.md")}
DIALECTS = ("local", "openai", "local,has-batches=off")


@dataclass
class Owner(Place):
    """One of several manifests with one service, each with a state folder of its own."""

    name: str = "kb"

    @property
    def state(self) -> Path:
        return self.base / f"state-{self.name}"

    def manifest(self, *stores: str) -> None:
        self.write({"vssync.yaml": HEAD.replace("kb", self.name) + "".join(stores)})

    def live(self, name: str = "docs") -> tuple[LiveStore | None, dict[str, LiveFile]]:
        """The live store of this name, and its files by their ids."""
        with self.work() as work:
            store = next((store for store in work.client.list_stores() if store.name == name), None)
            return store, {file.id: file for file in work.client.list_files(store.id)} if store else {}

    def finds(self, word: str, name: str = "docs") -> bool:
        """Whether a search of the store finds a word of a file."""
        with self.work() as work:
            store = next(store for store in work.client.list_stores() if store.name == name)
            return any(word in hit.text for hit in work.client.search_store(store.id, word, 5))

    def settle(self) -> None:
        """Nothing is left to do: the plan is empty, all is as declared, and a second apply writes nothing."""
        planned = self.plan()
        assert planned.empty
        assert find_convergence(planned).reached
        report, seen = self.apply_recorded()
        assert report.converged
        assert {method for method, _ in seen} <= {"GET"}


@pytest.fixture(params=DIALECTS)
def owner(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Owner]:
    owner = Owner(tmp_path, provider=request.param)
    owner.write(TEXTS)
    owner.manifest(STAYS, DOCS)
    assert owner.apply().converged
    yield owner
    assert owner.finds("b.md", "other")


def attach_theirs(owner: Owner, name: str = "docs") -> None:
    """Somebody puts a file into a store."""
    store, _ = owner.live(name)
    assert store
    with owner.work() as work:
        upload = work.client.upload_file(io.BytesIO(b"# theirs\n"), "theirs.md")
        work.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))


def test_a_store_is_deleted_with_its_files(owner: Owner) -> None:
    owner.manifest(STAYS, "  docs: {removed: delete}\n")
    assert owner.apply().converged
    assert owner.live() == (None, {})
    with owner.work() as work:
        assert [upload.filename for upload in work.client.list_uploads()] == ["b.md"]
    owner.settle()


@pytest.mark.wide(3)
def test_others_files_in_a_store_need_a_number(owner: Owner) -> None:
    attach_theirs(owner)
    owner.manifest(STAYS, "  docs: {removed: delete}\n")
    (docs,) = (store for store in owner.plan().stores if store.key == "docs")
    assert docs.change
    assert (docs.change.action, docs.change.reasons) == (Action.REFUSE, (Reason.REMOVED, Reason.NOT_ALLOWED))
    assert not owner.apply().converged
    assert len(owner.live()[1]) == len(TEXTS) + 1
    assert owner.apply(options=Options(delete_unmanaged=1)).converged
    owner.settle()


@pytest.mark.wide(3)
def test_a_store_that_is_given_up_keeps_everything_but_our_marks(owner: Owner) -> None:
    attach_theirs(owner)
    before, files = owner.live()
    assert before
    owner.manifest(STAYS, "  docs: {removed: keep}\n")
    report, seen = owner.apply_recorded()
    assert report.converged
    assert not {path for method, path in seen if method == "DELETE"}
    assert seen_writes(seen)[-1] == f"/v1/vector_stores/{before.id}"  # the store's mark goes last
    assert_given_up(owner, before, files)
    owner.settle()
    assert owner.finds("a.md")


def seen_writes(seen: list[tuple[str, str]]) -> list[str]:
    return [path for method, path in seen if method == "POST" and not path.endswith("/search")]


def assert_given_up(owner: Owner, before: LiveStore, files: dict[str, LiveFile]) -> None:
    after, left = owner.live()
    assert after
    assert (after.id, dict(after.metadata)) == (before.id, {"team": "help"})
    assert left.keys() == files.keys()
    assert [file.mark for file in left.values()] == [None] * len(files)
    assert {id: file.attributes for id, file in left.items()} == {
        id: without_ours(file.attributes) for id, file in files.items()
    }


@pytest.mark.wide(3)
@pytest.mark.parametrize("owner", ["local"], indirect=True)
@pytest.mark.parametrize("at", range(1, 5))
def test_giving_up_goes_on_where_it_was_interrupted(owner: Owner, at: int) -> None:
    before, files = owner.live()
    assert before
    owner.manifest(STAYS, "  docs: {removed: keep}\n")
    assert killed(owner, lambda seen: len(seen_writes(list(seen))) == at)
    marks = [file.mark for file in owner.live()[1].values()]
    assert marks.count(None) == min(at, 3)
    assert owner.apply().converged
    assert_given_up(owner, before, files)
    owner.settle()


@pytest.mark.wide(3)
def test_another_manifest_takes_over_what_was_given_up_without_an_upload(owner: Owner) -> None:
    heir = Owner(owner.base, owner.clock, owner.provider, name="heir")
    ids = owner.live()[1].keys()
    heir.manifest(ADOPTING)
    with pytest.raises(Refused, match=r"belongs to kb.*they first apply `removed: keep`"):
        heir.plan()
    owner.manifest(STAYS, "  docs: {removed: keep}\n")
    assert owner.apply().converged
    heir.manifest(ADOPTING)
    report, seen = heir.apply_recorded()
    assert report.converged
    assert "/v1/files" not in seen_writes(seen)
    assert heir.live()[1].keys() == ids
    heir.settle()
    assert heir.finds("c.md")
    owner.manifest(STAYS, "  docs: {removed: keep}\n")
    owner.settle()
    owner.manifest(STAYS, "  docs: {removed: delete}\n")
    planned = owner.plan()
    assert [store.change.reasons for store in planned.stores if store.change] == [(Reason.OTHER_OWNER,)]
    assert not find_convergence(planned).reached


@pytest.mark.wide(3)
def test_what_was_given_up_is_taken_back_only_where_that_is_said(owner: Owner) -> None:
    """Also by the machine that made it, and once nothing in it shows whose it was."""
    owner.manifest(STAYS, "  docs: {removed: keep}\n")
    assert owner.apply().converged
    store, files = owner.live()
    assert store
    assert store.id not in owner.past().stores
    with owner.work() as work:
        for file_id in files:
            work.client.detach_file(store.id, file_id)
    owner.manifest(STAYS, DOCS)
    (docs,) = (store for store in owner.plan().stores if store.key == "docs")
    assert docs.change
    assert (docs.change.action, docs.change.reasons) == (Action.REFUSE, (Reason.UNMARKED, Reason.NOT_ALLOWED))
    assert owner.apply(options=Options(adopt=True)).converged
    owner.settle()


@pytest.mark.wide(3)
@pytest.mark.parametrize("removed", ["delete", "keep"])
def test_of_an_external_store_only_what_is_ours_goes(owner: Owner, removed: str) -> None:
    with owner.work() as work:
        work.client.create_store({"name": "shared", "metadata": {"team": "them"}})
    attach_theirs(owner, "shared")
    owner.manifest(STAYS, DOCS, "  ours: {name: shared, external: true, files: [{path: 'a.md'}]}\n")
    assert owner.apply().converged
    assert len(owner.live("shared")[1]) == 2
    owner.manifest(STAYS, DOCS, f"  ours: {{name: shared, external: true, removed: {removed}}}\n")
    assert owner.apply().converged
    store, files = owner.live("shared")
    assert store
    assert dict(store.metadata) == {"team": "them"}
    assert [file.mark for file in files.values()] == [None] * (1 if removed == "delete" else 2)
    owner.settle()
    assert owner.finds("theirs", "shared")


def test_a_protected_store_is_refused(owner: Owner) -> None:
    owner.manifest(STAYS, DOCS.replace("docs: {", "docs: {protect: true, "))
    assert owner.apply().converged
    owner.manifest(STAYS, "  docs: {removed: delete}\n")
    assert [refusal.store for refusal in owner.plan().refusals] == ["docs"]
