"""Histories: what people do to a folder and to a service in some weeks, made from a seed, each step of it judged.

    python -m tests.simulation.histories SEED

tells the history of a seed while it happens.
"""

from __future__ import annotations

import io
import random
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.simulation.commands import Shell
from tests.simulation.judge import Run
from vssync.api.parse import AttachmentEntry
from vssync.model.marks import Mark
from vssync.model.plan import Options
from vssync.model.state import AUTO, Limit, LiveFile

FAULTS = (
    "status=503:*:*:10%",
    "lost-reply:POST:/files:1",
    "lost-reply:POST:/vector_stores/*/file_batches:1",
    "status-after=502:POST:*:20%",
    "status=500:DELETE:*:30%",
    "fails=server_error:*:*:1",
    "fails=invalid_file,file=*1.md",
    "refused-type,file=*2.md",
    "short-pages=2",
    "duplicates",
    "ties",
    "late-ingestion=3000",
    "status=403:DELETE:/vector_stores/*/files/*",
    "rate-limit=30",
)
MANIFEST = """\
version: 1
owner: history
service: {{capabilities: {{batch_size: {size}}}}}
stores:
  docs:
    name: {name}
    metadata: {{team: {team}}}
    attributes: {{lang: {lang}, level: {level}}}
    guards: {{max_delete: 100%, max_replace: 100%}}
    files: [{{path: "*.md"}}]
    overrides: [{{match: "{match}", attributes: {{area: special}}, chunking: {chunking}}}]
"""
OPTIONS = (
    *(Options(), Options(), Options(adopt=True)),
    *(Options(replace=("docs/a.md",)), Options(max_delete=Limit(count=1))),
)
SECOND = """\
  more:
    guards: {max_delete: 100%, max_replace: 100%}
    files: [{path: "more/*.md", optional: true}, {path: a.md}]
"""
STATIC = "{size: 400, overlap: 100}"


@dataclass
class History:
    """A folder, its manifest, and what happened so far."""

    shell: Shell
    rng: random.Random
    told: list[str] = field(default_factory=list)
    say: Callable[[str], None] = lambda _line: None
    has_second: bool = False
    number: int = 0
    values: dict[str, str] = field(
        default_factory=lambda: {
            "name": "docs",
            "team": "one",
            "lang": "en",
            "level": "1",
            "size": "3",
            "match": "*1.md",
            "chunking": "auto",
        }
    )

    @property
    def folder(self) -> Path:
        return self.shell.folder

    def happen(self) -> None:
        """All of it: a first apply, some weeks, and a last look."""
        for name in "abcdef":
            self._write(f"{name}.md")
        self._write_manifest()
        self._command("apply", "--yes")
        for _ in range(self.rng.randint(3, 6)):
            for _ in range(self.rng.randint(1, 3)):
                change = self.rng.choice(CHANGES)
                self._tell(change.__name__)
                change(self)
            self._command(*self.rng.choice((("plan", "--detailed-exitcode"), ("status", "--detailed-exitcode"))))
            self._apply()
            self._command(*self.rng.choice((("output",), ("status",), ("plan", "--detailed-exitcode"))))
            self.shell.clock.now += self.rng.choice((60, 86_400))
        self._command("apply", "--yes", options=Options(adopt=True, retry_failed=True))
        self._command("plan", "--detailed-exitcode")
        self._command("status")
        self._command("output")

    def _apply(self) -> None:
        faults = (self.rng.choice(FAULTS),) if self.rng.random() < 0.4 else ()
        options = self.rng.choice(
            (
                Options(),
                Options(),
                Options(adopt=True),
                Options(replace=("docs/a.md",)),
                Options(max_delete=Limit(count=1)),
            )
        )
        self._command("apply", "--yes", options=options, faults=faults)

    def _command(self, verb: str, *arguments: str, options: Options | None = None, faults: tuple[str, ...] = ()) -> Run:
        self._tell(" ".join(("vssync", verb, *arguments, *(f"[{fault}]" for fault in faults))))
        return self.shell.run(verb, *arguments, options=options, faults=faults)

    def _tell(self, line: str) -> None:
        self.told.append(line)
        self.say(line)

    # What people do to the folder

    def add_file(self) -> None:
        self.number += 1
        self._write(f"{self.rng.choice(('', 'more/'))}n{self.number}.md")

    def edit_file(self) -> None:
        self._write(self._some_file())

    def remove_file(self) -> None:
        name = self._some_file()
        if name != "a.md":
            (self.folder / name).unlink()

    def rename_file(self) -> None:
        name, self.number = self._some_file(), self.number + 1
        if name != "a.md":
            (self.folder / name).rename(self.folder / f"r{self.number}.md")

    def copy_file(self) -> None:
        self.number += 1
        (self.folder / f"c{self.number}.md").write_bytes((self.folder / self._some_file()).read_bytes())

    def change_manifest(self) -> None:
        choices = {
            "name": ("docs", "handbook"),
            "team": ("one", "two"),
            "lang": ("en", "de"),
            "level": ("1", "2.5"),
            "chunking": ("auto", STATIC),
            "match": ("*1.md", "*.md", "a.md"),
        }
        name = self.rng.choice(sorted(choices))
        self.values[name] = self.rng.choice(choices[name])
        self._write_manifest()

    def toggle_store(self) -> None:
        self.has_second = not self.has_second
        self._write_manifest()

    # What others do to the store

    def attach_foreign(self) -> None:
        with self.shell.others() as session, suppress(StopIteration):
            store = next(store for store in session.client.list_stores() if store.metadata.get("team"))
            name = self.rng.choice(("theirs.md", self._some_file()))
            upload = session.client.upload_file(io.BytesIO(f"theirs {self.rng.random()}\n".encode()), name)
            session.client.attach_file(store.id, AttachmentEntry(upload.id, {"owner": "them"}, AUTO))

    def erase_mark(self) -> None:
        self._with_live_file(lambda file: (file.attributes, None))

    def change_attributes(self) -> None:
        self._with_live_file(lambda file: ({**file.attributes, "lang": "xx"}, file.mark))

    def detach_file(self) -> None:
        self._with_live_file(lambda _file: None)

    def _with_live_file(self, change: Callable[[LiveFile], tuple[object, object] | None]) -> None:
        with self.shell.others() as session:
            client = session.client
            stores = sorted(client.list_stores(), key=lambda store: store.name)
            files = [(store.id, file) for store in stores for file in client.list_files(store.id)]
            marked = [pair for pair in files if isinstance(pair[1].mark, Mark)]
            if not marked:
                return
            store_id, file = self.rng.choice(sorted(marked, key=lambda pair: str(pair[1].attributes["vssync_key"])))
            changed = change(file)
            if changed is None:
                client.detach_file(store_id, file.id)
            else:
                mark = file.mark if changed[1] is not None and isinstance(file.mark, Mark) else None
                client.set_attributes(store_id, file.id, changed[0], mark)  # type: ignore[arg-type]

    def _some_file(self) -> str:
        names = sorted(path.relative_to(self.folder).as_posix() for path in self.folder.rglob("*.md"))
        return self.rng.choice(names)

    def _write(self, name: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# {name}\n{self.rng.randint(1, 10**6)} words\n")

    def _write_manifest(self) -> None:
        text = MANIFEST.format(**self.values) + (SECOND if self.has_second else "")
        (self.folder / "vssync.yaml").write_text(text)


CHANGES: tuple[Callable[[History], None], ...] = (
    *(History.add_file, History.edit_file, History.edit_file, History.remove_file, History.rename_file),
    *(History.copy_file, History.change_manifest, History.change_manifest, History.toggle_store),
    *(History.attach_foreign, History.erase_mark, History.change_attributes, History.detach_file),
)


def history_of(seed: int, folder: Path, say: Callable[[str], None] = lambda _line: None) -> History:
    """The history of a seed, in a folder of its own."""
    return History(Shell(folder), random.Random(seed), say=say)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as directory:
        history_of(int(sys.argv[1]), Path(directory), print).happen()
