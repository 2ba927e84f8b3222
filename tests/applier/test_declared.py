"""Files declared by id that change keys: no key loses its File to another, and no upload goes."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from tests.applier.world import Place, live
from vssync.model.marks import KEY

MANIFEST = "version: 1\nowner: moves\nstores:\n  docs:\n    files:\n"


def declare(place: Place, **ids: str) -> None:
    entries = [f"      - {{file_id: {file_id}, key: {key}.md}}\n" for key, file_id in ids.items()]
    place.write({"vssync.yaml": MANIFEST + "".join(entries)})


@pytest.mark.parametrize("dialect", ["local", "local,takes-files=off"])
def test_keys_exchange_their_files(tmp_path: Path, dialect: str) -> None:
    place = Place(tmp_path)
    place.provider = dialect
    declare(place, x="file-none")
    with place.work() as work:
        a, b, c = (work.client.upload_file(io.BytesIO(text), "any.md").id for text in (b"# a", b"# b", b"# c"))
    for declared in ({"x": a, "y": b}, {"x": b, "y": a}, {"z": a, "x": b}, {"x": c, "y": b, "z": a}, {"x": a, "y": c}):
        declare(place, **declared)
        for _ in range(2):  # a key that gets a new File keeps its old one until then
            place.apply()
        assert place.plan().empty
        held = {str(file.attributes[KEY]): file.id for file in live(place).stores["docs"]}
        assert held == {f"{key}.md": file_id for key, file_id in declared.items()}
    assert {upload.id for upload in live(place).uploads} == {a, b, c}
