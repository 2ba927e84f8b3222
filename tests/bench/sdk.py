"""The files of a folder brought into a new store with OpenAI's client: `python -m tests.bench.sdk batches|loop FOLDER`.

`batches` uploads five files at a time and attaches them as one batch, as the client's `upload_and_poll` does by
default; `loop` brings in one file after another, as scripts do.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path

from openai import OpenAI

BATCH = 500


def main(way: str, folder: str) -> None:
    client = OpenAI(api_key="none", max_retries=5)
    store = client.vector_stores.create(name="bench").id
    paths = sorted(Path(folder).rglob("*.md"))
    if way == "loop":
        for path in paths:
            with path.open("rb") as file:
                uploaded = client.files.create(file=file, purpose="assistants")
            client.vector_stores.files.create(store, file_id=uploaded.id)
        return
    for start in range(0, len(paths), BATCH):
        with ExitStack() as opened:
            files = [opened.enter_context(path.open("rb")) for path in paths[start : start + BATCH]]
            client.vector_stores.file_batches.upload_and_poll(store, files=files, poll_interval_ms=100)


if __name__ == "__main__":
    main(*sys.argv[1:])
