"""Runs that are easily described wrongly: what was never compared, Files that are gone, a host that is lost."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.applier.world import Counting, Place, killed
from tests.simulation.judged import recorded_runs
from vssync.api.client import Client
from vssync.api.parse import AttachmentEntry
from vssync.model.plan import Options
from vssync.model.report import Status
from vssync.model.state import AUTO

MANIFEST = 'version: 1\nowner: shapes\nstores:\n  docs: {files: [{path: "*.md"}]}\n'
HAND = '  hand: {files: [{path: "a.md"}]}\n'


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A store with three files; every run is judged."""
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, "a.md": "# a\n", "b.md": "# b\n", "c.md": "# c\n"})
    place.apply()
    return place


def _as_others(place: Place, act: Callable[[Client, str], None]) -> None:
    with place.work() as session:
        store = next(store for store in session.client.list_stores() if store.name == "docs")
        act(session.client, store.id)


def test_what_was_never_compared_is_counted_beside_the_convergence(place: Place) -> None:
    """The service does not give bytes, so that a file is taken over by its name and size."""
    place.provider = "local,refuses-content=assistants"
    with place.work() as session:
        store = session.client.create_store({"name": "hand"})
        upload = session.client.upload_file(io.BytesIO(b"# x\n"), "a.md")
        session.client.attach_file(store.id, AttachmentEntry(upload.id, {}, AUTO))
    place.write({"vssync.yaml": MANIFEST + HAND})
    for options in (Options(adopt=True), Options()):
        report = place.apply(options=options)
        assert (report.converged, report.uncompared) == (True, 1)


def test_an_upload_that_a_killed_run_deleted_is_no_orphan(place: Place) -> None:
    place.write({"a.md": "# edited\n"})
    assert killed(place, lambda seen: seen[-1][0] == "DELETE" and seen[-1][1].startswith("/v1/files/"))
    assert place.apply().orphans == ()


@pytest.mark.parametrize("others", [0, 1])
def test_a_file_that_is_gone_is_not_to_be_attached_again(place: Place, others: int) -> None:
    place.provider = "local,keeps-attached=on"
    names = ["new.md", "newer.md"][: 1 + others]
    place.write({name: f"# {name}\n" for name in names})
    place.apply(faults=("fails=server_error,file=new*.md",))

    def delete(client: Client, _store_id: str) -> None:
        client.delete_upload(next(upload.id for upload in client.list_uploads() if upload.filename == "new.md"))

    _as_others(place, delete)
    plan = place.plan(Options(retry_failed=True))
    reused = {change.key: bool(change.reuse) for store in plan.stores for change in store.files}
    assert reused == {name: name != "new.md" for name in names}
    assert place.apply(options=Options(retry_failed=True)).converged


def test_a_batch_that_was_accepted_before_the_host_was_lost_has_no_known_end(place: Place) -> None:
    class CutOff(Counting):
        """The host is gone once it has taken a batch."""

        is_gone = False

        def handle_request(self, request: httpx.Request) -> httpx.Response:
            if self.is_gone:
                raise httpx.ConnectError("no route to host")
            self.is_gone = request.url.path.endswith("/file_batches") and request.method == "POST"
            return super().handle_request(request)

    place.write({"new.md": "# new\n"})
    with recorded_runs() as runs:
        report = place.apply(CutOff)
    assert [(outcome.key, outcome.status) for outcome in report.outcomes] == [("new.md", Status.UNKNOWN)]
    sent = [exchange.url for run in runs for exchange in run.exchanges if exchange.method == "POST"]
    assert sum("file_batches" in url for url in set(sent)) == 1
