"""What is fuzzed: a function for each surface, which takes bytes and returns, whatever they are.

Errors of the program's own are an answer if they name the object that they are about. All else is a crash.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from tests.fuzz import calls, local
from tests.planfile.sealing import sealed
from tests.support import ENDPOINT, Clock, client_of
from vssync.api.errors import parse_date, retry_after, with_time_to_return
from vssync.api.http import Call
from vssync.commands.doctor.evidence import Recorder
from vssync.commands.doctor.redact import WORDS
from vssync.commands.plan import make_plan_now
from vssync.commands.search import parse_filter
from vssync.commands.session import Session, Settings
from vssync.errors import Answer, ManifestError, UsageProblem, VssyncError
from vssync.journal.records import encode_line, format_of, read_records
from vssync.model.marks import parse_mark, parse_stamp, parse_store_mark, read_batch_note
from vssync.model.plan import Options, Plan
from vssync.model.report import Audit
from vssync.model.state import Snapshot
from vssync.planfile import dump, load
from vssync.planner.assemble import make_plan
from vssync.render.comment import plan_markdown
from vssync.render.html import plan_html
from vssync.render.json import plan_json
from vssync.render.layout import View
from vssync.render.plan_text import plan_text
from vssync.sources.load import LoadedManifest, load_sources
from vssync.threads import Pool

Target = Callable[[bytes], None]
NOW = 1_750_000_000
MOST_SAID = 20_000  # characters of an error
LIBRARY = {
    "docs/a.md": "---\ntitle: A\ntags: [x, y]\ndate: 2026-01-02\n---\n# A\n",
    "docs/größe.md": "# Größe\n",
    "docs/deep/c.txt": "c\n",
    "b.pdf": "%PDF\n",
    "more.yaml": "stores: {more: {files: [{path: docs/a.md}]}}\n",
    "ask.yaml": "questions: [{ask: What is A?, expect: docs/a.md}]\n",
}
LOOKUPS = """\
version: 1
owner: kb
stores:
  s:
    attributes:
      title: {from: [front_matter.title, heading, filename]}
      date: {from: front_matter, as: epoch}
      tags: {from: front_matter, join: "|"}
      group: {from: front_matter.params.group}
      path: {from: path}
    files: [{path: doc.md}]
"""
ASKING = "version: 1\nowner: kb\nstores: {s: {attributes: {lang: en}, files: [{path: docs/*.md}], tests: asked.yaml}}\n"


@contextmanager
def own_errors(*names: str) -> Iterator[None]:
    """Takes errors of the program's own that name the object: one of these names, or a file for each problem."""
    try:
        yield
    except VssyncError as error:
        require_names(error, names)


def require_names(error: VssyncError, names: tuple[str, ...]) -> None:
    if isinstance(error, ManifestError):
        assert all(problem.file and problem.message for problem in error.problems), error.problems
    else:
        assert any(name in str(error) for name in names), f"names none of {names}: {error}"
    assert len(str(error)) < MOST_SAID


def json_of(data: bytes) -> Any:
    """The value of a JSON text; None where it is none."""
    with suppress(ValueError, RecursionError):
        return json.loads(data)
    return None


@cache
def library() -> Path:
    """A folder of documents, without a manifest."""
    folder = Path(tempfile.mkdtemp(prefix="vssync-fuzz-"))
    for name, text in LIBRARY.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def show(plan: Plan) -> None:
    """Prints a plan in every format, and reads its file again."""
    assert load(dump(plan)) == plan
    shown = (plan_text(plan, View()), plan_markdown(plan, View()), plan_json(plan), plan_html(plan, View(), Audit()))
    for text in shown:
        text.encode(errors="backslashreplace")


def load_written(name: str, data: bytes, manifest_name: str = "") -> LoadedManifest:
    (library() / name).write_bytes(data)
    return load_sources(library() / (manifest_name or name))


def fuzz_manifest(data: bytes) -> None:
    with own_errors():
        desired = load_written("m.json" if data.startswith(b"{") else "m.yaml", data).desired
        show(make_plan(desired, Snapshot(NOW, ()), Options(), desired.service.declared_capabilities))


def fuzz_front_matter(data: bytes) -> None:
    (library() / "lookups.yaml").write_text(LOOKUPS)
    with own_errors():
        load_written("doc.md", data, "lookups.yaml")


def fuzz_questions(data: bytes) -> None:
    (library() / "asking.yaml").write_text(ASKING)
    with own_errors():
        load_written("asked.yaml", data, "asking.yaml")


def fuzz_plan(data: bytes) -> None:
    """A plan file as it is, and with a checksum that fits."""
    text = data.decode(errors="replace")
    content = json_of(data)
    for each in (text, sealed(content)) if isinstance(content, dict) else (text,):
        with own_errors("The plan file"):
            plan = load(each)
            show(plan)


def fuzz_journal(data: bytes) -> None:
    """What the lines say is what the fewest lines for it say."""
    assert format_of(data) >= 0
    state = read_records(data)
    assert read_records(b"".join(map(encode_line, state.lines()))).summary() == state.summary()


def fuzz_marks(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    for mark in (parse_mark(text), parse_store_mark(text)):
        assert str(mark) in (text, re.sub(r";0*([0-9]+);", r";\1;", text)) or "d" in str(mark)
        assert len(getattr(mark, "claim", ())) in (0, 2)
        assert len(getattr(mark, "problem", "")) < 200
    stamp = parse_stamp(text)
    assert stamp is None or str(stamp) == text
    assert all(read_batch_note({"vssync_batches": text}))


def fuzz_answers(data: bytes) -> None:
    """`{"call": one of CALLS, "answers": [{"status", "headers", "body"}, ...]}`: answers in turn, then the last."""
    asked = json_of(data)
    if isinstance(asked, dict) and (call := calls.CALLS.get(str(asked.get("call")))):
        with (
            own_errors("/vector_stores", "/files", "local: "),
            client_over(calls.answering(asked.get("answers"))) as client,
        ):
            call(client)


@contextmanager
def client_over(answer: Callable[[httpx.Request], httpx.Response]) -> Iterator[Any]:
    client = client_of(answer, Clock())
    try:
        yield client
    finally:
        client.close()


def fuzz_live(data: bytes) -> None:
    """`{path: body}`, as a service that holds this answers: its plan is made, and shown in every format."""
    bodies = json_of(data)
    if not isinstance(bodies, dict):
        return
    with own_errors("/files", "/vector_stores", "store"), client_over(calls.holding(bodies)) as client, Pool(1) as pool:
        show(make_plan_now(Session(*settings_of_live(), ENDPOINT, client, pool), Options()))


@cache
def settings_of_live() -> tuple[Settings, LoadedManifest]:
    loaded = load_written("live.yaml", calls.MANIFEST.encode())
    return Settings(loaded.file, environment={"VSSYNC_STATE_DIR": f"{library()}.state"}), loaded


def fuzz_retry_after(data: bytes) -> None:
    """Lines of headers."""
    lines = (line.partition(b":") for line in data.splitlines())
    headers = httpx.Headers([(name.strip(), value.strip()) for name, _, value in lines if name.strip()])
    wait = retry_after(headers)
    assert wait is None or 0 <= wait <= 366 * 86_400, wait
    assert len(with_time_to_return(Answer("GET", "/v1/files", 429, retry_after=wait), NOW).message) < 200
    date = parse_date(headers.get("date", ""))
    assert date is None or date.tzinfo is not None
    if date:
        date.timestamp()


def fuzz_filters(data: bytes) -> None:
    """A filter as `--filter` takes it, and as the body of a search."""
    text = data.decode(errors="replace")
    with own_errors("--filter"):
        parse_filter(text, {"lang": {str}, "rank": {int}})
    local.search({"query": "alpha", "filters": json_of(data)})


def fuzz_requests(data: bytes) -> None:
    """`[{"method", "path", "query", "headers", "body"}, ...]` to the local service, which never fails at one."""
    asked = json_of(data)
    requests = [each for each in asked[:8] if isinstance(each, dict)] if isinstance(asked, list) else []
    with local.opened() as ask:
        for request in requests:
            method, path, query = (str(request.get(name, "")) for name in ("method", "path", "query"))
            ask(method, path, request.get("body"), query, calls.pairs(request.get("headers")))


def fuzz_evidence(data: bytes) -> None:
    """An answer as `doctor` sees it: whatever it holds, only words of the list are let through."""
    asked = json_of(data)
    if not isinstance(asked, dict):
        return
    recorder = Recorder()
    for raw in (False, True):
        response = calls.response_of(asked)
        with suppress(httpx.DecodingError):
            response.read()
            recorder(Call("GET", f"/files/{asked.get('id')}", params={str(asked.get("param")): 1}, raw=raw), response)
    said = [recorder.answers(), recorder.headers(), recorder.error_style(), recorder.refused_stores()]
    shown = re.sub(r"[-_][a-z]{3}[-_]\.\.\.", "", json.dumps(said, ensure_ascii=False))  # the key of a region in an id
    pieces = {piece.lower() for piece in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", shown)}
    assert shown.isascii()
    assert pieces <= WORDS | calls.SHOWN_WORDS, pieces - WORDS - calls.SHOWN_WORDS


def fuzz_forge(data: bytes) -> None:
    """`{"forge", "ask", "event", "payload", "answers"}`: a job of GitHub or GitLab asks its forge one thing."""
    asked = json_of(data)
    if not isinstance(asked, dict) or not (ask := calls.FORGE_CALLS.get(str(asked.get("ask")))):
        return
    with own_errors("git.example.org", "GITHUB_EVENT"), suppress(UsageProblem):
        ask(calls.forge_of(asked, library()))


TARGETS: Mapping[str, Target] = {
    name.removeprefix("fuzz_"): target for name, target in [*globals().items()] if name.startswith("fuzz_")
}
