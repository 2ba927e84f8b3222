"""`batches` shows what the service says of a batch, also in a word that OpenAI's API does not have."""

from __future__ import annotations

import io
import json
from pathlib import Path

from tests.support import Clock, open_test_session
from vssync.api.parse import AttachmentEntry
from vssync.commands.batches import list_batches
from vssync.model.state import AUTO
from vssync.render.batches import batches_json, batches_text


def test_the_services_own_word_is_shown(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text("version: 1\nowner: shelf\nstores: {docs: {external: true, files: []}}\n")
    clock = Clock()
    with open_test_session(tmp_path, clock, provider="local,queued-seconds=60") as (session, _):
        client = session.client
        store = client.create_store({"name": "docs"})
        upload = client.upload_file(io.BytesIO(b"hello\n"), "a.md")
        client.create_batch(store.id, [AttachmentEntry(upload.id, {}, AUTO)])
        rows, _ = list_batches(session)
    desired = session.loaded.desired
    assert "queued, " in batches_text(rows, desired)
    (batch,) = json.loads(batches_json(rows, desired))["batches"]
    assert (batch["status"], batch["reported_status"]) == ("unknown", "queued")
