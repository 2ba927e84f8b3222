"""Equal files on a service that keeps their chunks once: what stays is found after its equal left, in one run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import pytest

from tests.guarantees.worlds.scenarios import MANIFEST
from tests.guarantees.worlds.world import World, assert_as_desired

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
