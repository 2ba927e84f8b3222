"""`--log-format json`: each line of stderr is an event that the schema describes, whatever it is that writes there."""

from __future__ import annotations

import io
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from tests.cli.test_commands import vssync
from tests.render.builders import SAMPLE_REPORTS
from vssync.applier.watcher import DONE, Result, Workload
from vssync.cli import process
from vssync.cli.events import EventStream, event_stream, is_asked_for
from vssync.cli.progress import Events, asking_progress, reading_progress
from vssync.errors import ManifestError, Problem
from vssync.model.report import Status

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas/event.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)
KINDS = {
    kind
    for part in SCHEMA["oneOf"]
    for event in [SCHEMA["definitions"][part["$ref"].rpartition("/")[2]]["properties"]["event"]]
    for kind in event.get("enum", [event.get("const")])
}
MANIFEST = 'version: 1\nowner: kb\nstores:\n  docs: {files: [{path: "*.md", exclude: [%s]}]}\n'


def events_of(text: str) -> list[dict[str, Any]]:
    """The events of a stderr, each of which the schema describes."""
    events = [json.loads(line) for line in text.splitlines()]
    for event in events:
        VALIDATOR.validate(event)
    return events


def test_every_line_that_a_command_writes_is_an_event_and_stdout_stays_as_it_is(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / f"{number}.md").write_text(f"# {number}\n")
    (tmp_path / "vssync.yaml").write_text(MANIFEST % "gone.md")
    runs: list[tuple[list[str], int, set[str]]] = [
        (["plan", "-v"], 0, {"warning", "request"}),
        (["apply", "--format", "json"], 3, {"warning", "error"}),
        (["apply", "--yes"], 0, {"warning", "started", "uploaded", "batch_sent", "settled", "ended"}),
        (["apply", "--no-such-option"], 64, {"error"}),
        (["destroy", "--confirm", "kb"], 0, {"warning", "started", "settled", "ended", "cleanup"}),
    ]
    for arguments, code, kinds in runs:
        plain = vssync(tmp_path, *arguments) if "plan" in arguments else None
        end = vssync(tmp_path, *arguments, "--log-format", "json")
        events = events_of(end.err)
        assert (end.code, {event["event"] for event in events}) == (code, kinds), end.err
        assert plain is None or (plain.code, plain.out) == (end.code, end.out)
    (tmp_path / "vssync.yaml").write_text("version: 1\nowner: kb\nstoers: {}\n")
    problems = events_of(vssync(tmp_path, "apply", "--yes", VSSYNC_LOG_FORMAT="json").err)
    assert ("vssync.yaml", 3) in [(problem.get("file"), problem.get("line")) for problem in problems]


def test_a_log_file_is_written_in_the_same_form(tmp_path: Path) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST % "")
    (tmp_path / "1.md").write_text("# 1\n")
    end = vssync(tmp_path, "plan", "--log-format=json", "--log-file", "log")
    assert (end.code, end.err) == (0, "")
    assert {event["event"] for event in events_of((tmp_path / "log").read_text())} == {"request"}


@contextmanager
def stderr_of_events() -> Iterator[io.StringIO]:
    """What is written to stderr meanwhile."""
    paper = io.StringIO()
    with redirect_stderr(EventStream(paper)):
        yield paper


def test_whatever_else_is_printed_becomes_an_event() -> None:
    with stderr_of_events() as paper:
        click.echo("Waiting for\nanother run.\n", err=True)
        click.echo("Go on? ", err=True, nl=False)
        sys.stderr.write("::error::\u202e \x1b[2J\n")
        process.print_error("vssync: nothing was done")
        threads = [threading.Thread(target=sys.stderr.write, args=("x" * 99 + "\n",)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not sys.stderr.isatty()
    assert paper.getvalue().replace("\n", "").isprintable()
    messages = [event["message"] for event in events_of(paper.getvalue())]
    assert messages[:5] == ["Waiting for", "another run.", "Go on?", "::error::\u202e \x1b[2J", "nothing was done"]
    assert messages[5:] == ["x" * 99] * 8


def test_every_problem_of_a_manifest_is_an_event() -> None:
    problems = (Problem("vssync.yaml", 3, 1, "unknown field", "did you mean `stores`?"), Problem("a.md", 0, 0, "empty"))

    def fail() -> None:
        raise ManifestError(problems)

    with stderr_of_events() as paper:
        assert process.run_command(fail) == process.ERROR
    assert [(event["message"], event.get("hint"), event.get("line")) for event in events_of(paper.getvalue())] == [
        ("empty", None, None),
        ("unknown field", "did you mean `stores`?", 3),
    ]


def test_what_is_only_worth_knowing_is_no_error() -> None:
    with stderr_of_events() as paper:
        process.print_error("hint: too high", level="info")
    (event,) = events_of(paper.getvalue())
    assert (event["event"], event["level"], event["message"]) == ("message", "info", "hint: too high")


def test_an_apply_tells_all_that_happens() -> None:
    with stderr_of_events() as paper:
        stream = event_stream()
        assert stream
        watcher = Events(stream=stream)
        watcher.on_start(Workload(5, 1, {"docs": 2}), lambda: 2.04)
        watcher.on_upload_ready("docs", "a.md", "file-1", 5)
        watcher.on_batch_sent("docs", "", 2)
        watcher.on_settled("docs", "a.md", DONE)
        watcher.write_progress()
        watcher.on_settled("docs", "b.md", Result(Status.FAILED, "the service refused it", "req_1"))
        watcher.on_cleanup(3)
        watcher.on_upload_deleted()
        watcher.write_progress()
        watcher.on_message("docs: 3 files wait")
        watcher.on_end(SAMPLE_REPORTS["all-done"]())
        ticked = threading.Event()

        def trouble() -> str:
            ticked.set()
            return "status 503"

        with reading_progress(lambda: 7, lambda: 1, trouble, log_interval=0.0):
            assert ticked.wait(60)
        ticked.clear()
        with asking_progress(lambda: (3, 10), lambda: 1, trouble, log_interval=0.0):
            assert ticked.wait(60)
    told: dict[str, dict[str, Any]] = {event["event"]: event for event in events_of(paper.getvalue())}
    assert {*told} == KINDS - {"warning", "error", "request", "retry"}
    assert (told["settled"]["level"], told["settled"]["request_id"]) == ("error", "req_1")
    assert (told["progress"]["deleted_uploads"], told["progress"]["pause"]) == ({"done": 1, "of": 3}, 2.0)
    assert told["reading"]["last_failure"] == told["asking"]["last_failure"] == "status 503"
    assert (told["asking"]["asked"], told["asking"]["questions"]) == (3, 10)


@pytest.mark.parametrize(
    ("arguments", "variable", "asked"),
    [
        ("plan", "", False),
        ("plan", "json", True),
        ("plan --log-format json", "", True),
        ("plan --log-format=json", "text", True),
        ("plan --log-format text", "json", False),
        ("plan --log-format", "json", True),
    ],
)
def test_events_are_asked_for_by_an_option_or_a_variable(arguments: str, variable: str, asked: bool) -> None:
    assert is_asked_for(arguments.split(), {"VSSYNC_LOG_FORMAT": variable}) is asked
