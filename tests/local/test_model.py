"""Any sequence of requests against the simplest possible idea of the service: which File has which status."""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from tests.local.client import Api, counts, ids
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions

LOOK = 3  # files a look ingests


class Model(RuleBasedStateMachine):
    uploads = Bundle("uploads")
    batches = Bundle("batches")

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        folder = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "data"
        service = self.stack.enter_context(open_service(folder, options=LocalOptions(files_per_query=LOOK)))
        self.api = self.stack.enter_context(Api(service))
        self.store = self.api.store()
        self.words: dict[str, str] = {}  # File id to its text
        self.status: dict[str, str] = {}  # attached File id to status, in order of attaching
        self.member: dict[str, str] = {}  # attached File id to batch id

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.stack.close()

    def ingest(self) -> None:
        waiting = [file for file, status in self.status.items() if status == "in_progress"]
        self.status |= dict.fromkeys(waiting[:LOOK], "completed")

    def look(self, path: str = "", **query: Any) -> Any:
        self.ingest()
        return self.api.get(f"/vector_stores/{self.store}{path}", **query)

    @rule(target=uploads, word=st.sampled_from(["same", "equal", ""]))
    def upload(self, word: str) -> str:
        word = word or f"word{len(self.words)}"
        file = str(self.api.upload("a.md", word.encode())["id"])
        self.words[file] = word
        return file

    @rule(file=uploads)
    def attach(self, file: str) -> None:
        self.api.attach(self.store, file, 400 if file in self.status else 200)
        self.status.setdefault(file, "in_progress")

    @rule(target=batches, files=st.lists(uploads, min_size=1, max_size=6, unique=True))
    def batch(self, files: list[str]) -> Any:
        taken = [file for file in files if file in self.status]
        answer = self.api.batch(self.store, *files, status=400 if taken else 200)
        if taken:
            return multiple()
        self.status |= dict.fromkeys(files, "in_progress")
        self.member |= dict.fromkeys(files, answer["id"])
        return answer["id"]

    @rule(batch=batches)
    def cancel(self, batch: str) -> None:
        self.api.post(f"/vector_stores/{self.store}/file_batches/{batch}/cancel")
        for file, status in self.status.items():
            if status == "in_progress" and self.member.get(file) == batch:
                self.status[file] = "cancelled"

    @rule(batch=batches)
    def list_batch(self, batch: str) -> None:
        listed = self.look(f"/file_batches/{batch}/files", limit=100, order="asc")
        assert ids(listed) == [file for file in self.status if self.member.get(file) == batch]

    @rule(file=uploads)
    def detach(self, file: str) -> None:
        self.member.pop(file, None)
        self.api.delete(f"/vector_stores/{self.store}/files/{file}", 200 if self.status.pop(file, "") else 404)

    @rule(file=consumes(uploads))
    def delete(self, file: str) -> None:
        self.api.delete(f"/files/{file}")
        for expected in (self.words, self.status, self.member):
            expected.pop(file, None)

    @rule()
    def search(self) -> None:
        for word in set(self.words.values()):
            self.ingest()
            hits = self.api.search(self.store, word, max_num_results=50)["data"]
            done = {file for file, status in self.status.items() if status == "completed"}
            assert {hit["file_id"] for hit in hits} == {file for file in done if self.words[file] == word}

    @invariant()
    def same_files_and_counts(self) -> None:
        if not hasattr(self, "store"):
            return
        listed = self.look("/files", limit=100, order="asc")["data"]
        assert {file["id"]: file["status"] for file in listed} == self.status
        assert [file["id"] for file in listed] == list(self.status)
        seen = self.look()
        statuses = list(self.status.values())
        assert seen["file_counts"] == counts(**{status: statuses.count(status) for status in set(statuses)})
        used = [len(self.words[file]) for file, status in self.status.items() if status == "completed"]
        assert seen["usage_bytes"] == sum(used)
        assert set(ids(self.api.get("/files"))) == set(self.words)


Model.TestCase.settings = settings(max_examples=15, stateful_step_count=25)
TestModel = Model.TestCase
