"""Progress on a terminal: a row each for bytes, batches and changes, and one for each store at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from vssync.applier.watcher import Watcher, Workload
from vssync.cli.progress import Tally
from vssync.text import count_noun, escape_control, format_elapsed, format_size

_NAME_WIDTH, _BAR_WIDTH = 14, 20
_FULL_WIDTH = 78  # of a row with all its columns; a narrower terminal has the numbers only


class _SpeedColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or unit == "batches" or task.fields["store"]:
            return Text("")
        return Text(f"{format_size(int(speed))}/s" if unit == "bytes" else f"{speed:,.0f}/s")


class _TimeLeftColumn(TimeRemainingColumn):
    """The time left, or for how long the service asks to wait."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(compact=True, table_column=Column(no_wrap=True))
        self._tally = tally

    def render(self, task: Task) -> Text:
        pause = self._tally.throttled_for()
        waits = pause >= 1 and not task.finished and not task.fields["store"]
        return Text(f"waits {format_elapsed(pause)}") if waits else super().render(task)


class Bars(Tally):
    def __init__(self, console: Console) -> None:
        super().__init__()
        self._wide = console.width >= _FULL_WIDTH
        columns = (
            TextColumn("{task.description}", markup=False),
            *([BarColumn(bar_width=_BAR_WIDTH)] if self._wide else []),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)),
            *([_SpeedColumn(table_column=Column(no_wrap=True))] if self._wide else []),
            _TimeLeftColumn(self),
        )
        self.progress = Progress(*columns, console=console, transient=True)
        self.write = partial(self.progress.console.print, markup=False, highlight=False)
        self._rows: dict[tuple[str, str], TaskID] = {}
        self._cleanup_row = TaskID(0)

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        super().on_start(workload, throttled_for)
        for unit, (_, total) in self.amounts.items():
            self._add_row("", unit, total)

    def on_cleanup(self, uploads: int) -> None:
        super().on_cleanup(uploads)
        if uploads:
            self._cleanup_row = self.progress.add_task("cleanup", total=uploads, unit="uploads", store="", note="")

    def on_upload_deleted(self) -> None:
        super().on_upload_deleted()
        note = f"{self.deleted_uploads:,} of {count_noun(self.old_uploads, 'old upload')}"
        self.progress.update(self._cleanup_row, completed=self.deleted_uploads, note=note)

    def on_counted(self, store_key: str) -> None:
        for unit, (done, total) in self.amounts.items():
            self._update_row("", unit, done, total)
        if self._wide and len(self.workload.changes) > 1:
            self._update_store(store_key)

    def _update_store(self, store_key: str) -> None:
        """A store has a row while it is at work."""
        done, total = self.changes[store_key], self.workload.changes[store_key]
        if (store_key, "changes") not in self._rows:
            self._add_row(store_key, "changes", total)
        self._update_row(store_key, "changes", done, total)
        if done >= total:
            self.progress.update(self._rows[store_key, "changes"], visible=False)

    def _add_row(self, store: str, unit: str, total: int) -> None:
        if total:
            name = escape_control(store)
            name = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
            self._rows[store, unit] = self.progress.add_task(
                f"  {name}" if store else unit, total=total, unit=unit, store=store, note=""
            )

    def _update_row(self, store: str, unit: str, done: int, total: int) -> None:
        row = self._rows.get((store, unit))
        if row is not None:
            show = format_size if unit == "bytes" else "{:,}".format
            self.progress.update(row, completed=done, total=total, note=f"{show(done)} of {show(total)}")


@contextmanager
def bar_progress() -> Iterator[Watcher]:
    """A watcher that draws on stderr while the block runs, and leaves nothing there."""
    watcher = Bars(Console(stderr=True))
    with watcher.progress:
        yield watcher
