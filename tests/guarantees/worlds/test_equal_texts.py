"""Equal files on a service that keeps their chunks once: what stays is found after its equal left, in one run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.guarantees.worlds.scenarios import MANIFEST
from tests.guarantees.worlds.world import PLAIN, World, assert_as_desired
from vssync.commands.plan import make_plan_now
from vssync.model.plan import FileChange, Options

ALDER, BIRCH = "alder\nThe first page.\n", "birch\nAnother page.\n"
STEPS: tuple[Mapping[str, str | None], ...] = (
    {
        "vssync.yaml": MANIFEST,
        "a.md": ALDER,
        "b.md": ALDER,
        "c.md": BIRCH,
        "notes.txt": "elder\n",
        "guide/f.md": "fir\n",
    },
    {"b.md": None},
    {"d.md": ALDER, "e.md": ALDER},
    {"a.md": "aspen\nThe first page, better.\n", "d.md": None},
    {"c.md": ALDER, "e.md": BIRCH},
    {"vssync.yaml": MANIFEST.replace("level: 3", "level: 4")},
)


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    "spoken",
    ["compatible", *(f"local,shares-chunks=on{more}" for more in ("", ",stale-filters=on", ",late-deletions=30"))],
)
def test_what_stays_is_found(tmp_path: Path, spoken: str) -> None:
    with closing(World(tmp_path, spoken)) as world:
        for step in STEPS:
            world.write(step)
            report = world.apply()
            texts = [(world.loaded.root / file.path).read_text() for file in world.loaded.desired.stores[0].files]
            if len(set(texts)) == len(texts):
                assert_as_desired(world, report)
            else:
                assert report.converged
                (store_id,) = world.stores()["shelf"]
                hits = {hit["content"][0]["text"] for hit in world.search(store_id, texts)}
                assert {text.strip() for text in texts} == {text.strip() for text in hits}


THEIRS = BIRCH.swapcase()  # of the same size
LEAVING: dict[str, Mapping[str, str | None]] = {
    "deleted": {"c.md": None},
    "edited": {"c.md": "cedar\nA better page.\n"},
}
ALLOWED = Options(allow_gap=True)


def planned(world: World, options: Options) -> tuple[list[FileChange], int]:
    """The changes of a plan, and how many contents it reads."""
    with world.session() as (session, recorder):
        changes = [change for store in make_plan_now(session, options).stores for change in store.files]
        return changes, sum(path.endswith("/content") for _, path in recorder.seen)


OTHER_SIZE = "Of another size.\n"
REFUSING = "compatible,refuses-content=assistants"
UNMARKED: tuple[tuple[str, str, int, str], ...] = (  # dialect, the text of a file, whether it is read, what is said
    ("compatible", BIRCH, 1, "has the same text"),
    ("compatible", THEIRS, 1, ""),
    ("compatible", OTHER_SIZE, 0, ""),
    (REFUSING, THEIRS, 1, "may have the same text (its content was not compared)"),
    (REFUSING, OTHER_SIZE, 0, ""),
)


@pytest.mark.wide(3)
@pytest.mark.parametrize("change", LEAVING.values(), ids=LEAVING)
@pytest.mark.parametrize("case", UNMARKED, ids=lambda case: " ".join(map(str, case[0::2])))
def test_a_file_without_a_mark_is_not_hidden(
    tmp_path: Path, case: tuple[str, str, int, str], change: Mapping[str, str | None]
) -> None:
    spoken, theirs, read, held = case
    with closing(World(tmp_path, spoken)) as world:
        world.write(STEPS[0])
        world.apply()
        world.make_by_hand("shelf", {"zz.md": theirs.encode()}, {})
        (store_id,) = world.stores()["shelf"]
        world.write(change)
        (found,), contents = planned(world, PLAIN)
        assert contents == read
        assert (found.action == "refuse", held in found.detail) == (bool(held), True)
        assert ("--allow-gap" in found.detail) is bool(held)
        assert planned(world, PLAIN)[1] == (read if spoken is REFUSING else 0)  # what was read is remembered
        assert world.apply().converged is not bool(held)
        assert theirs.strip() in {hit["content"][0]["text"].strip() for hit in world.search(store_id, [theirs])}
        if held:
            assert planned(world, ALLOWED)[0][0].action != "refuse"


DECLARED = MANIFEST.replace("files: [", "files: [{key: zz.md, file_id: FILE}, ")


@pytest.mark.parametrize("change", LEAVING.values(), ids=LEAVING)
def test_a_declared_file_is_attached_again_after_its_equal(tmp_path: Path, change: Mapping[str, str | None]) -> None:
    with closing(World(tmp_path, "compatible")) as world:
        file = world.send("POST", "files", data={"purpose": "assistants"}, files={"file": ("zz.md", BIRCH.encode())})
        world.write({**STEPS[0], "vssync.yaml": DECLARED.replace("FILE", file["id"])})
        assert world.apply().converged
        (store_id,) = world.stores()["shelf"]
        world.write(change)
        assert world.apply().converged
        assert planned(world, PLAIN)[0] == []
        assert BIRCH.strip() in {hit["content"][0]["text"].strip() for hit in world.search(store_id, [BIRCH])}
        world.write({"vssync.yaml": MANIFEST, "e.md": BIRCH})  # and now the declared one goes
        assert world.apply().converged
        assert BIRCH.strip() in {hit["content"][0]["text"].strip() for hit in world.search(store_id, [BIRCH])}


def test_a_declared_file_that_is_gone_is_named_with_its_line(tmp_path: Path) -> None:
    with closing(World(tmp_path, "compatible")) as world:
        world.write({**STEPS[0], "vssync.yaml": DECLARED.replace("FILE", "file-none")})
        assert not world.apply().converged
        (found,), _ = planned(world, PLAIN)
        assert (found.key, found.action) == ("zz.md", "refuse")
        assert found.detail.endswith(
            "vssync.yaml:8:35: file-none does not exist; declare another File, or a `path`, or take the entry away"
        )
