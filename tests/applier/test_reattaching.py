"""A File that is detached to be attached again, and then is not: it is named, taken by the next run, or goes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.applier.world import Place, Seen, killed, live
from vssync.api.parse import AttachmentEntry
from vssync.model.marks import Mark
from vssync.model.plan import Options
from vssync.model.report import Status

MANIFEST = """\
version: 1
owner: again
stores:
  docs: {chunking: {size: 400, overlap: 0}, files: [{path: "*.md"}]}
"""
TWIN = "  twin: {files: [{path: '*.md'}]}\n"
ATTACH = "POST:/vector_stores/*/file_batches"
STORE_FILE = "/vector_stores/*/files/*"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n"})
    return place


def rechunk(place: Place, manifest: str, *faults: str) -> tuple[list[Status], set[str]]:
    """Attaches the only file of `docs` again with other chunking; the statuses, and the uploads that are reported."""
    place.write({"vssync.yaml": manifest.replace("400", "800")})
    report = place.apply(faults=faults, options=Options(allow_gap=True, retry_failed=True))
    return [outcome.status for outcome in report.outcomes], {orphan.file_id for orphan in report.orphans}


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    ("fault", "status", "attached", "uploads"),
    [
        (f"status=422:{ATTACH}", Status.FAILED, 0, 0),  # refused for good: it is deleted, as a fresh upload is
        (f"status=401:{ATTACH}", Status.FAILED, 0, 1),
        (f"status=503:{ATTACH} status=503:POST:/vector_stores/*/files", Status.FAILED, 0, 1),
        (f"status=502:{ATTACH}", Status.UNKNOWN, 0, 1),  # a gateway does not know
        (f"status=500:DELETE:{STORE_FILE}", Status.FAILED, 1, 1),
        (f"status=403:DELETE:{STORE_FILE}", Status.FAILED, 1, 1),  # it was never detached
        ("fails=server_error,file=a.md", Status.FAILED, 1, 1),
        (f"fails=server_error,file=a.md status=401:{ATTACH}:2+", Status.FAILED, 0, 1),  # taken out once more
    ],
)
def test_a_file_that_was_detached_and_not_attached_again_is_reported(
    place: Place, fault: str, status: Status, attached: int, uploads: int
) -> None:
    assert place.apply().converged
    statuses, reported = rechunk(place, MANIFEST, *fault.split())
    assert statuses == [status]
    assert (len(live(place).stores["docs"]), len(live(place).uploads)) == (attached, uploads)
    assert reported == live(place).loose
    assert rechunk(place, MANIFEST) == ([Status.DONE], set())
    assert (len(live(place).uploads), live(place).loose) == (1, set())


def test_a_detach_without_a_good_answer_is_looked_for_and_gone_on_from(place: Place) -> None:
    assert place.apply().converged
    assert rechunk(place, MANIFEST, f"lost-reply:DELETE:{STORE_FILE}:1+") == ([Status.DONE], set())


@pytest.mark.parametrize("status", [400, 403, 405, 422])
def test_an_odd_refusal_to_show_a_detached_file_holds_up_nothing(
    place: Place, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The service confirmed the deletion, and some answer 400 for what a store no longer has."""
    monkeypatch.setattr("vssync.applier.wait.PAGE_SIZE", 0)  # every store is too large to be listed for one file
    assert place.apply().converged
    assert rechunk(place, MANIFEST, f"status={status}:GET:{STORE_FILE}:1+") == ([Status.DONE], set())
    assert (len(live(place).stores["docs"]), len(live(place).uploads)) == (1, 1)


def test_a_file_that_another_store_holds_stays_when_it_is_not_attached_again(place: Place) -> None:
    place.write({"vssync.yaml": MANIFEST + TWIN})
    assert place.apply().converged
    (shared,) = live(place).uploads
    assert rechunk(place, MANIFEST + TWIN, f"status=422:{ATTACH}") == ([Status.FAILED], set())
    assert {name: [file.id for file in files] for name, files in live(place).stores.items()} == {
        "docs": [],
        "twin": [shared.id],
    }


SHARING = "service: {capabilities: {shares_chunks: true}}\n"


@pytest.mark.wide(3)
@pytest.mark.parametrize("number", range(1, 5))
@pytest.mark.parametrize("options", [Options(), Options(replace=("docs/a.md",))])
def test_of_two_copies_of_one_text_none_stays_that_searches_do_not_find(
    place: Place, number: int, options: Options
) -> None:
    """The run is killed after each of its writes: detaching one copy takes the chunks of the other along."""
    place.provider = "local,shares-chunks=on"
    place.write({"vssync.yaml": MANIFEST + SHARING, "a.md": "alder\n"})
    assert place.apply().converged
    with place.work() as work:
        store_id = work.client.list_stores()[0].id
        (file,) = work.client.list_files(store_id)
        assert isinstance(file.mark, Mark)
        with (place.docs / "a.md").open("rb") as handle:
            copy = work.client.upload_file(handle, "a.md")
        chunking = work.loaded.desired.stores[0].files[0].chunking
        work.client.attach_file(store_id, AttachmentEntry(copy.id, file.attributes, chunking, file.mark))
        work.client.get_file(store_id, copy.id)  # which completes it

    def is_time(seen: Seen) -> bool:
        return sum(method != "GET" and not path.endswith("/search") for method, path in seen) == number

    assert killed(place, is_time, options=options)
    assert place.apply().converged
    with place.work() as work:
        assert [hit.score > 0 for hit in work.client.search_store(store_id, "alder", 5)] == [True]


@pytest.mark.parametrize("provider", ["compatible", "local", "local,has-batches=off"])
def test_detached_files_are_looked_for_after_the_last_is_detached_and_by_no_request_that_fails(
    place: Place, provider: str
) -> None:
    """A server that stands still to log an error does by half the deletions that are under way meanwhile."""
    place.provider = provider
    manifest = MANIFEST + SHARING.replace("true", "true, updates_reach_search: false")
    place.write({"vssync.yaml": manifest, **{f"{number}.md": f"# {number}\n" for number in range(8)}})
    assert place.apply().converged
    place.write({"vssync.yaml": manifest.replace("400", "800")})
    report, seen = place.apply_recorded(options=Options(allow_gap=True))
    assert report.converged
    of_files = [method for method, path in seen if re.search(r"/vector_stores/[^/]+/files/[^/]+$", path)]
    assert of_files[: of_files.index("DELETE") + 9] == ["DELETE"] * 9
    assert "GET" not in of_files
