"""What is known to be false is false: a row of the table that no shape here shows any more must go."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest

from tests.applier.world import Place, killed
from tests.simulation.judge import Falsehood, judge
from tests.simulation.judged import recorded_runs
from tests.simulation.known_false import KNOWN_FALSE, is_known
from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry
from vssync.model.plan import Options
from vssync.model.state import AUTO

MANIFEST = 'version: 1\nowner: shapes\nstores:\n  docs: {files: [{path: "*.md"}]}\n'
HAND = '  hand: {files: [{path: "a.md"}]}\n'


def _as_others(place: Place, act: Callable[[Client, str], None], name: str = "docs") -> None:
    with place.work() as session:
        store = next(store for store in session.client.list_stores() if store.name == name)
        act(session.client, store.id)


def never_compared(place: Place) -> None:
    """The service does not give bytes, so that a file is taken over by its name and size."""
    place.provider = "local,refuses-content=assistants"
    with place.work() as session:
        store = session.client.create_store({"name": "hand"})
        upload = session.client.upload_file(io.BytesIO(b"# x\n"), "a.md")
        session.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))
    place.write({"vssync.yaml": MANIFEST + HAND})
    place.apply(options=Options(adopt=True))


def killed_after_a_deletion(place: Place) -> None:
    place.write({"a.md": "# edited\n"})
    assert killed(place, lambda seen: seen[-1][0] == "DELETE" and seen[-1][1].startswith("/v1/files/"))
    place.apply()


def upload_gone(place: Place) -> None:
    place.provider = "local,keeps-attached=on"
    place.write({"new.md": "# new\n"})
    place.apply(faults=("fails=server_error,file=new.md",))

    def delete(client: Client, _store_id: str) -> None:
        client.delete_upload(next(upload.id for upload in client.list_uploads() if upload.filename == "new.md"))

    _as_others(place, delete)
    place.plan(Options(retry_failed=True))


SHAPES = (never_compared, killed_after_a_deletion, upload_gone)


@pytest.fixture(scope="module")
def falsehoods(tmp_path_factory: pytest.TempPathFactory) -> list[Falsehood]:
    found: list[Falsehood] = []
    for shape in SHAPES:
        place = Place(tmp_path_factory.mktemp(shape.__name__))
        place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n", "b.md": "# b\n", "c.md": "# c\n"})
        place.apply()
        with recorded_runs() as runs:
            shape(place)
        found += [falsehood for run in runs for falsehood in judge(run)]
    return found


@pytest.mark.parametrize("row", KNOWN_FALSE, ids=": ".join)
def test_a_row_is_still_false(row: tuple[str, str], falsehoods: list[Falsehood]) -> None:
    assert any(is_known(falsehood, [row]) for falsehood in falsehoods), "no longer false: delete the row and its shape"
