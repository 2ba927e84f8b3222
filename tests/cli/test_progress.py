"""Progress: what a log and a terminal show during a run, and that it ends at what there was to do."""

from __future__ import annotations

import io
import threading
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from tests.applier.world import Place
from vssync.applier.watcher import DONE, Watcher, Workload
from vssync.cli import progress, progress_bars
from vssync.cli.progress import Lines, Tally, call_periodically, overwritten_line
from vssync.cli.progress_bars import Bars

GUIDE = Workload(size=3_000_000, batches=2, changes={"guide": 100})
BOTH = Workload(size=4_000_000, batches=3, changes={"guide": 100, "faq": 20})
FEW = Workload(changes={"guide": 3})


@dataclass
class Log:
    """Lines written by a clock of its own."""

    now: float = 0.0
    written: list[str] = field(default_factory=list)

    def lines(self) -> Lines:
        return Lines(write=self.written.append, clock=lambda: self.now)


def settle(watcher: Watcher, store_key: str, count: int) -> None:
    """Lets so many changes end."""
    for number in range(count):
        watcher.on_settled(store_key, f"{number}.md", DONE)


def test_a_log_shows_how_far_a_run_is_and_how_long_it_takes() -> None:
    log, held = Log(), [0.0]
    lines = log.lines()
    lines.on_start(BOTH, lambda: held[0])
    lines.on_upload_ready("guide", "a.md", "file-1", 500_000)
    lines.on_batch_sent("guide", "vsfb_1", 5)
    log.now = 5.0
    lines.write_line()
    settle(lines, "guide", 30)
    log.now, held[0] = 10.0, 42.0
    lines.write_line()
    assert log.written == [
        "Applying: 120 changes, 3.8 MB to upload.",
        "  0 of 120 changes done, 488.3 KB of 3.8 MB uploaded, batch 1 of 3",
        "  30 of 120 changes done, 488.3 KB of 3.8 MB uploaded, batch 1 of 3; 3.0 a second, 30 s left; "
        "the service asks to wait 42 s",
    ]


def test_a_log_says_once_a_minute_that_nothing_moves() -> None:
    log = Log()
    lines = log.lines()
    lines.on_start(GUIDE, lambda: 0.0)
    for _ in range(25):
        log.now += 5.0
        lines.write_line()
    assert len(log.written) == 1 + 1 + 2


def test_a_log_says_how_much_is_read_and_why_requests_are_sent_again(capsys: pytest.CaptureFixture[str]) -> None:
    ticked = threading.Event()

    def trouble() -> str:
        ticked.set()
        return "status 503"

    waiting = partial(progress.reading_progress, waiting_for=lambda: "docs is read again in 5 s", log_interval=0.001)
    with waiting(lambda: 1_200, lambda: 3, trouble):
        assert ticked.wait(60)
    first, *_ = capsys.readouterr().err.splitlines()
    assert first == "Reading the service: 1,200 objects, 3 requests sent again (status 503); docs is read again in 5 s"


def test_a_log_leaves_out_what_there_is_none_of() -> None:
    log = Log()
    lines = log.lines()
    lines.on_start(FEW, lambda: 0.0)
    log.now = 5.0
    settle(lines, "guide", 1)
    lines.write_line()
    log.now = 10.0
    settle(lines, "guide", 2)
    lines.write_line()
    first, *more = log.written
    assert first == "Applying: 3 changes."
    assert more == ["  1 of 3 changes done; 0.2 a second, 10 s left", "  3 of 3 changes done"]


@pytest.fixture
def drawn() -> Bars:
    shown = Bars(Console(file=io.StringIO(), width=80))
    shown.on_start(BOTH, lambda: 0.0)
    return shown


def rows(shown: Bars) -> list[str]:
    """What a terminal shows at this moment."""
    paper = io.StringIO()
    Console(file=paper, width=shown.progress.console.width, color_system=None).print(shown.progress.get_renderable())
    return [line.rstrip() for line in paper.getvalue().splitlines() if line.strip()]


def test_a_terminal_has_a_row_for_each_amount_and_for_each_store_at_work(drawn: Bars) -> None:
    shown = drawn
    assert [row.split()[0] for row in rows(shown)] == ["bytes", "batches", "changes"]
    shown.on_upload_ready("guide", "a.md", "file-1", 1_500_000)
    shown.on_batch_sent("guide", "vsfb_1", 5)
    settle(shown, "guide", 40)
    settle(shown, "faq", 5)
    found = rows(shown)
    assert [row.split()[0] for row in found] == ["bytes", "batches", "changes", "guide", "faq"]
    for text, row in zip(["1.4 MB of 3.8 MB", "1 of 3", "45 of 120", "40 of 100", "5 of 20"], found, strict=True):
        assert text in row
    settle(shown, "faq", 15)
    assert [row.split()[0] for row in rows(shown)] == ["bytes", "batches", "changes", "guide"]


@pytest.mark.parametrize("name", ["a" * 60, "\x1b[31mred[bold]"])
def test_a_store_name_breaks_no_row(name: str) -> None:
    shown = Bars(Console(file=io.StringIO(), width=80))
    shown.on_start(Workload(10**12, 1_000, {name: 100_000, "faq": 20}), lambda: 0.0)
    shown.on_upload_ready(name, "a.md", "file-1", 123_456_789_012)
    shown.changes[name] = 99_998  # as after so many more
    settle(shown, name, 1)
    assert len(rows(shown)) == 4
    assert "\x1b" not in "".join(rows(shown))


def test_uploads_that_go_in_the_end_have_a_row_and_a_word_of_their_own(drawn: Bars) -> None:
    log = Log()
    lines = log.lines()
    lines.on_start(FEW, lambda: 0.0)
    for watcher in (drawn, lines):
        settle(watcher, "guide", 3)
        watcher.on_cleanup(2)
        watcher.on_upload_deleted()
    lines.write_line()
    assert log.written[1:] == ["  3 of 3 changes done, 1 of 2 old uploads deleted"]
    (row,) = [row for row in rows(drawn) if row.startswith("cleanup")]
    assert "1 of 2 old uploads" in row


def test_a_narrow_terminal_has_the_numbers_whole() -> None:
    shown = Bars(Console(file=io.StringIO(), width=50))
    shown.on_start(Workload(123_000_000_000, 1_000, {"guide": 100_000}), lambda: 0.0)
    shown.on_upload_ready("guide", "a.md", "file-1", 61_500_000_000)
    assert [row.split("  ")[0] for row in rows(shown)[:1]] == ["bytes"]
    assert "57.3 GB of 114.6 GB" in rows(shown)[0]
    assert all(len(row) <= 50 and "…" not in row for row in rows(shown))


def test_while_the_service_asks_for_it_a_terminal_says_how_long_is_waited() -> None:
    shown = Bars(Console(file=io.StringIO(), width=80))
    shown.on_start(GUIDE, lambda: 42.0)
    assert "waits 42 s" in rows(shown)[-1]


def test_a_word_in_between_is_cleaned_and_breaks_no_row() -> None:
    paper = io.StringIO()
    shown = Bars(Console(file=paper, width=80))
    shown.on_message("docs: \x1b[31m[red]other chunking")
    assert paper.getvalue() == "docs: \\x1b[31m[red]other chunking\n"


def test_bars_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = io.StringIO()
    monkeypatch.setattr(progress_bars, "Console", lambda stderr: Console(file=paper, force_terminal=True, width=80))
    with progress_bars.bar_progress() as watcher:
        watcher.on_start(GUIDE, lambda: 0.0)
        settle(watcher, "guide", 100)
    assert paper.getvalue().endswith("\x1b[2K") or "\x1b[2K" in paper.getvalue()[-40:]


def test_a_line_is_overwritten_and_cleared(monkeypatch: pytest.MonkeyPatch) -> None:
    paper = io.StringIO()
    monkeypatch.setattr("sys.stderr", paper)
    with overwritten_line() as write:
        write("Reading the service: 1,200 objects")
    assert paper.getvalue() == "\rReading the service: 1,200 objects\x1b[K\r\x1b[K"


def test_ticks_come_while_something_goes_on() -> None:
    ticked = threading.Event()
    with call_periodically(0.0, ticked.set):
        assert ticked.wait(60)
    assert not any(thread.name == "vssync-progress" for thread in threading.enumerate())


MANIFEST = """\
version: 1
owner: counted
service: {capabilities: {batch_size: 3}}
defaults: {guards: {max_delete: 100%, max_replace: 100%}}
stores:
  docs: {files: [{path: "*.md"}]}
  twin: {attributes: {rank: 1}, files: [{path: "*.md"}]}
"""


@pytest.mark.wide(2)
@pytest.mark.parametrize(
    "faults",
    [
        (),
        ("status=429:::20%",),
        ("fails-once,file=3.md",),
        ("stuck-in-progress,file=2.md",),
        ("fails=invalid_file,file=4.md",),
    ],
)
def test_the_tally_ends_at_what_there_was_to_do(tmp_path: Path, faults: tuple[str, ...]) -> None:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST, **{f"{number}.md": f"# {number}\n" for number in range(8)}})
    _ends_whole(place, faults)
    place.write({"0.md": "# better\n", "1.md": None, "vssync.yaml": MANIFEST.replace("rank: 1", "rank: 2")})
    _ends_whole(place, faults)


def _ends_whole(place: Place, faults: tuple[str, ...]) -> None:
    tally = Tally()
    place.apply(faults=faults, watcher=tally)
    done, total = tally.amounts["changes"]
    assert done == total > 0
