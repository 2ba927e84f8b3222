"""Progress on a terminal: a row each for bytes, batches and changes, and one for each store at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from vssync.applier.context import StoreWorkload, Watcher
from vssync.cli.progress import Count, Tally
from vssync.text import count_noun, escape_control, format_elapsed, format_size

_NAME_WIDTH, _BAR_WIDTH = 14, 20
_FULL_WIDTH = 78  # of a row with all its columns; a narrower terminal has the numbers only
_AMOUNTS: dict[str, Callable[[Count | StoreWorkload], int]] = {
    "bytes": lambda count: count.size,
    "batches": lambda count: count.batches,
    "changes": lambda count: count.changes,
}


class _SpeedColumn(ProgressColumn):
    """The amount a second."""

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
    """Draws what it counts."""

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

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        super().on_start(workloads, throttled_for)
        for unit in _AMOUNTS:
            self._add_row("", unit, self.total.workload)

    def on_cleanup(self, uploads: int) -> None:
        super().on_cleanup(uploads)
        if uploads:
            self._cleanup_row = self.progress.add_task("cleanup", total=uploads, unit="uploads", store="", note="")

    def on_upload_deleted(self) -> None:
        super().on_upload_deleted()
        note = f"{self.deleted_uploads:,} of {count_noun(self.old_uploads, 'old upload')}"
        self.progress.update(self._cleanup_row, completed=self.deleted_uploads, note=note)

    def on_counted(self, store: Count) -> None:
        for unit in _AMOUNTS:
            self._update_row("", unit, self.total)
        if self._wide and len(self.stores) > 1:
            self._update_store(store)

    def _update_store(self, count: Count) -> None:
        """A store has a row while it is at work."""
        name = count.workload.store_key
        if (name, "changes") not in self._rows:
            self._add_row(name, "changes", count.workload)
        self._update_row(name, "changes", count)
        if count.changes >= count.workload.changes:
            self.progress.update(self._rows[name, "changes"], visible=False)

    def _add_row(self, store: str, unit: str, workload: StoreWorkload) -> None:
        if amount := _AMOUNTS[unit](workload):
            name = escape_control(store)
            name = name if len(name) <= _NAME_WIDTH else f"{name[: _NAME_WIDTH - 1]}…"
            self._rows[store, unit] = self.progress.add_task(
                f"  {name}" if store else unit, total=amount, unit=unit, store=store, note=""
            )

    def _update_row(self, store: str, unit: str, count: Count) -> None:
        row = self._rows.get((store, unit))
        if row is None:
            return
        done = _AMOUNTS[unit](count)
        total = max(done, _AMOUNTS[unit](count.workload))
        show = format_size if unit == "bytes" else "{:,}".format
        self.progress.update(row, completed=done, total=total, note=f"{show(done)} of {show(total)}")


@contextmanager
def bar_progress() -> Iterator[Watcher]:
    """A watcher that draws on stderr while the block runs, and leaves nothing there."""
    watcher = Bars(Console(stderr=True))
    with watcher.progress:
        yield watcher
