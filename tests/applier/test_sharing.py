"""Environments that share a project and its uploads: none takes away what another one's store holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.applier.world import Live, Place, live
from tests.support import Silent
from vssync.api.parse import AttachmentEntry
from vssync.commands.apply import apply_plan
from vssync.commands.destroy import plan_destruction
from vssync.commands.plan import make_plan_now
from vssync.model.marks import KEY
from vssync.model.plan import Action, NoteKind, Options
from vssync.model.report import Report, Status
from vssync.model.state import AUTO

MANIFEST = """\
version: 1
owner: kb
defaults: {name: "${store}-${env}", guards: {max_delete: 100%, max_replace: 100%}}
stores:
  guide: {files: [{path: "*.md"}]}
  faq: {files: [{path: "1*.md"}]}
environments: {dev: {}, prod: {}}
"""
FILES = {f"{number}.md": f"# {number}\n" for number in range(12)}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Both environments as they should be; prod's guide also holds dev's upload of 2.md, put there by somebody."""
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    for place.env in ("prod", "dev"):
        assert place.apply().converged
    with place.work() as work:
        stores = {store.name: store.id for store in work.client.list_stores()}
        theirs = upload(live(place), "guide-dev", "2.md")
        work.client.attach_file(stores["guide-prod"], AttachmentEntry(theirs, {"by": "hand"}, AUTO))
    return place


def upload(service: Live, store: str, key: str) -> str:
    (file_id,) = [file.id for file in service.stores[store] if file.attributes.get(KEY) == key]
    return file_id


def apply(place: Place, *faults: str, **options: Any) -> Report:
    with place.work(faults=faults) as work:
        return apply_plan(work, make_plan_now(work, Options(**options)), Silent())


def sizes(service: Live) -> dict[str, int]:
    return {name: len(files) for name, files in service.stores.items()}


def test_an_upload_that_another_environment_holds_stays(place: Place) -> None:
    before = live(place)
    held, free = upload(before, "guide-dev", "2.md"), upload(before, "guide-dev", "3.md")
    place.write({"2.md": "# 2, better\n", "3.md": None})
    report = apply(place)
    assert (report.converged, report.orphans) == (True, ())
    after = live(place)
    assert sizes(after) == {"guide-prod": 13, "faq-prod": 3, "guide-dev": 11, "faq-dev": 3}
    uploads = {each.id for each in after.uploads}
    assert (held in uploads, free in uploads, after.loose) == (True, False, set())


def remove_under(place: Place, faults: str) -> tuple[str, Report]:
    """The upload of a file that is removed while prod's guide, or the stores, are listed badly; and the report."""
    with place.work() as work:
        (prod,) = [store.id for store in work.client.list_stores() if store.name == "guide-prod"]
    gone = upload(live(place), "guide-dev", "3.md")
    place.write({"3.md": None})
    with place.work() as work:
        planned = make_plan_now(work, Options())
    with place.work(faults=faults.format(store=f"/vector_stores/{prod}").split()) as work:
        return gone, apply_plan(work, planned, Silent())


def test_an_upload_is_asked_for_where_a_listing_is_short(place: Place) -> None:
    """Each end shows one of thirteen files."""
    gone, report = remove_under(place, "short-pages=1:GET:{store}/files only-page:GET:{store}/files")
    assert (report.converged, report.orphans, live(place).loose) == (True, (), set())
    assert gone not in {each.id for each in live(place).uploads}


@pytest.mark.parametrize("faults", ["status=403:GET:/vector_stores", "status=404:GET:{store}/files"])
def test_no_upload_is_deleted_while_a_store_cannot_be_listed(place: Place, faults: str) -> None:
    gone, report = remove_under(place, faults)
    assert [orphan.file_id for orphan in report.orphans] == [gone]
    assert live(place).loose == {gone}
    assert [orphan.file_id for orphan in place.gc(delete=True)] == []
    assert live(place).loose == set()


def test_an_upload_that_an_external_store_holds_stays(tmp_path: Path) -> None:
    """It carries no mark of ours, and is ours to look into all the same, in scope or not."""
    place = Place(tmp_path)
    with_external = "stores:\n  theirs: {external: true, prune: false, files: [{path: '*.md'}]}\n"
    place.write({"vssync.yaml": MANIFEST.replace("stores:\n", with_external), **FILES})
    place.env = "dev"
    with place.work() as work:
        work.client.create_store({"name": "theirs-dev"})
    assert apply(place).converged
    place.write({"3.md": None, "4.md": None})
    for options in ({"targets": ("guide/3.md",)}, {}):
        assert apply(place, **options).converged
    assert sizes(live(place)) == {"theirs-dev": 12, "guide-dev": 10, "faq-dev": 3}


@pytest.mark.parametrize("provider", ["local,keeps-attached=on", "local,keeps-attached=on,phantom-files=on"])
def test_a_file_that_was_deleted_and_is_still_listed_is_not_reused(place: Place, provider: str) -> None:
    place.provider = provider
    with place.work() as work:
        work.client.delete_upload(upload(live(place), "guide-dev", "5.md"))
    place.write({"vssync.yaml": MANIFEST.replace("1*.md", "[15]*.md")})
    report = apply(place)
    assert ({outcome.status for outcome in report.outcomes}, report.converged) == ({Status.DONE}, False)
    notes = [(store.key, note.kind, note.key) for store in report.plan.stores for note in store.notes]
    assert notes == [("guide", NoteKind.UPLOAD_GONE, "5.md")]
    assert upload(live(place), "faq-dev", "5.md") in {each.id for each in live(place).uploads}


def test_destroying_needs_its_flag_where_anothers_equal_file_would_be_lost_to_search(tmp_path: Path) -> None:
    place = Place(tmp_path, provider="local,shares-chunks=on")
    manifest = (
        "version: 1\nowner: {}\nservice: {{capabilities: {{shares_chunks: true}}}}\n"
        "stores: {{theirs: {{external: true, files: [{{path: '*.md'}}]}}}}\n"
    )
    place.write({"vssync.yaml": manifest.format("first"), "1.md": "# the same\n"})
    with place.work() as work:
        work.client.create_store({"name": "theirs"})
    assert place.apply().converged
    place.write({"vssync.yaml": manifest.format("second")})
    assert place.apply().converged
    for allow_gap in (False, True):
        with place.work() as work:
            planned = plan_destruction(work, allow_gap=allow_gap)
            ((change,),) = (store.files for store in planned.stores)
            assert change.action is (Action.DELETE if allow_gap else Action.REFUSE)
            assert "--allow-gap" in change.detail or allow_gap
            assert apply_plan(work, planned, Silent()).converged is allow_gap
    assert sizes(live(place)) == {"theirs": 1}


def test_destroying_an_environment_spares_the_other_ones(place: Place) -> None:
    kept = upload(live(place), "guide-dev", "2.md")
    with place.work() as work:
        assert apply_plan(work, plan_destruction(work), Silent()).converged
    after = live(place)
    assert sizes(after) == {"guide-prod": 13, "faq-prod": 3}
    assert (kept in {each.id for each in after.uploads}, after.loose) == (True, set())
    place.env = "prod"
    assert list(place.plan().changes()) == []


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("options", "guide", "faq"),
    [
        ({"targets": ("guide/11.md",)}, 11, 3),
        ({"targets": ("faq",)}, 12, 2),
        ({"excludes": ("guide",)}, 12, 2),
        ({"targets": ("guide",)}, 10, 3),
    ],
)
def test_what_was_not_asked_for_stays(place: Place, options: dict[str, tuple[str, ...]], guide: int, faq: int) -> None:
    place.write({"11.md": None, "3.md": None})
    assert apply(place, **options).orphans == ()
    after = live(place)
    assert sizes(after) == {"guide-prod": 13, "faq-prod": 3, "guide-dev": guide, "faq-dev": faq}
    assert after.loose == set()
