"""An upload whose reply was lost: a name with our digest finds it, any other name is sent again and said."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.applier.world import Counting, Place, Seen, live
from vssync.errors import Interrupted
from vssync.model.report import Report

MANIFEST = """\
version: 1
owner: lossy
stores:
  docs:
    filename: NAME
    chunking: {size: SIZE, overlap: 0}
    files: [{path: "**/*.md"}]
"""
PROVING = "${stem}-${digest}.md"
FILES = {f"{number}.md": f"# {number}\n" for number in range(4)}


def lay(place: Place, name: str = PROVING, size: int = 400) -> None:
    place.write({"vssync.yaml": MANIFEST.replace("NAME", name).replace("SIZE", str(size))})


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    place.write({**FILES})
    lay(place)
    return place


def suspected(report: Report) -> list[bool]:
    assert report.converged
    return [orphan.suspected for orphan in report.orphans]


LOST = "lost-reply:POST:/files:3"


def test_a_name_with_our_digest_is_found_and_not_sent_twice(place: Place) -> None:
    report = place.apply(faults=(LOST, "status-after=502:POST:/files:1", "reset-after:POST:/files:2"))
    assert suspected(report) == []
    assert len(live(place).uploads) == len(FILES)
    assert live(place).loose == set()
    assert place.past().suspected == ()
    assert list(place.plan().changes()) == []


def test_a_look_that_was_interrupted_leaves_an_upload_that_may_exist(place: Place) -> None:
    def stop(seen: Seen) -> None:
        if seen[-1] == ("GET", "/v1/files"):
            raise Interrupted

    assert suspected(place.apply(lambda inner: Counting(inner, stop), faults=(LOST,))) == [True]
    (upload,) = (upload for upload in live(place).uploads if upload.id in live(place).loose)
    assert [write.name for write, _ in place.past().suspected] == [upload.filename]


def test_another_name_is_sent_again(place: Place) -> None:
    lay(place, "${path}")
    assert suspected(place.apply(faults=(LOST,))) == [True]
    assert len(live(place).loose) == 1


@pytest.mark.parametrize(
    ("faults", "uploads", "suspects"),
    [
        ("reset-before:POST:/files:3", 4, [True]),  # it never arrived, so there is nothing to find
        (f"{LOST} status=403:GET:/files", 5, [True]),
        (f"{LOST} status=503:GET:/files:1", 4, []),
        ("lost-reply:POST:/files:2-3 stale-listing:GET:/files:2-3", 4, []),
    ],
)
def test_what_is_not_found_is_sent_again(place: Place, faults: str, uploads: int, suspects: list[bool]) -> None:
    assert suspected(place.apply(faults=faults.split())) == suspects
    assert len(live(place).uploads) == uploads


def test_an_older_file_of_the_same_name_is_not_taken(place: Place) -> None:
    with place.work() as work:
        (file,) = (file for file in work.loaded.desired.stores[0].files if file.key == "2.md")
        old = work.client.upload_file(io.BytesIO(b"# 2\n"), file.filename).id
    place.clock.now += 3600
    assert suspected(place.apply(faults=("reset-before:POST:/files:3",))) == [True]
    assert live(place).loose == {old}


def test_the_copy_that_is_replaced_is_not_taken_for_the_new_one(place: Place) -> None:
    """The same bytes under the same name: only other chunking."""
    assert place.apply().converged
    before = {file.id for file in live(place).stores["docs"]}
    lay(place, size=800)
    assert suspected(place.apply(faults=("reset-before:POST:/files:1-4",))) == [True] * 4
    after = {file.id for file in live(place).stores["docs"]}
    assert (len(after), after & before) == (len(FILES), set())


@pytest.mark.parametrize("workers", [1, 4])
def test_two_keys_of_the_same_bytes_and_name_get_a_file_each(place: Place, workers: int) -> None:
    lay(place, "${digest}.md")
    place.write({f"again/{name}": text for name, text in FILES.items()})
    assert suspected(place.apply(faults=("lost-reply:POST:/files:1-8",), workers=workers)) == []
    assert len(live(place).uploads) == 2 * len(FILES)
    assert len(live(place).stores["docs"]) == 2 * len(FILES)
    assert live(place).loose == set()
    assert list(place.plan().changes()) == []
