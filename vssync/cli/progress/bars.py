"""Progress for a terminal: a row each for bytes, batches and changes, and one for each store at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from vssync.applier.context import StoreWorkload, Watcher
from vssync.cli.progress.tally import Count, Tally
from vssync.text import count_noun, escape_control, format_elapsed, format_size

_NAME, _BAR = 14, 20  # columns
_WIDE = 78  # columns that all of a row takes; a narrower terminal has the numbers only
_AMOUNTS: dict[str, Callable[[Count | StoreWorkload], int]] = {
    "bytes": lambda count: count.size,
    "batches": lambda count: count.batches,
    "changes": lambda count: count.changes,
}


class _Speed(ProgressColumn):
    """How much a second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        unit = task.fields["unit"]
        if not speed or unit == "batches" or task.fields["store"]:
            return Text("")
        return Text(f"{format_size(int(speed))}/s" if unit == "bytes" else f"{speed:,.0f}/s")


class _Left(TimeRemainingColumn):
    """Time left; while the service asks to be left alone, for how long."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(compact=True, table_column=Column(no_wrap=True))
        self._tally = tally

    def render(self, task: Task) -> Text:
        held = self._tally.held()
        waits = held >= 1 and not task.finished and not task.fields["store"]
        return Text(f"waits {format_elapsed(held)}") if waits else super().render(task)


class Bars(Tally):
    """Draws what it counts."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._wide = console.width >= _WIDE
        columns = (
            TextColumn("{task.description}", markup=False),
            *([BarColumn(bar_width=_BAR)] if self._wide else []),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[note]}", markup=False, table_column=Column(no_wrap=True)),
            *([_Speed(table_column=Column(no_wrap=True))] if self._wide else []),
            _Left(self),
        )
        self.progress = Progress(*columns, console=console, transient=True)
        self.write = partial(self.progress.console.print, markup=False, highlight=False)
        self._rows: dict[tuple[str, str], TaskID] = {}
        self._clearing = TaskID(0)

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        super().on_start(workloads, throttled_for)
        for unit in _AMOUNTS:
            self._row("", unit, self.whole.todo)

    def on_cleanup(self, uploads: int) -> None:
        super().on_cleanup(uploads)
        if uploads:
            self._clearing = self.progress.add_task("cleanup", total=uploads, unit="uploads", store="", note="")

    def on_upload_deleted(self) -> None:
        super().on_upload_deleted()
        note = f"{self.gone:,} of {count_noun(self.waste, 'old upload')}"
        self.progress.update(self._clearing, completed=self.gone, note=note)

    def _row(self, store: str, unit: str, todo: StoreWorkload) -> None:
        if total := _AMOUNTS[unit](todo):
            name = escape_control(store)
            name = name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"
            row = self.progress.add_task(f"  {name}" if store else unit, total=total, unit=unit, store=store, note="")
            self._rows[store, unit] = row

    def _moved(self, store: Count) -> None:
        for unit in _AMOUNTS:
            self._draw("", unit, self.whole)
        if self._wide and len(self.stores) > 1:
            self._store(store.todo.store, store)

    def _store(self, name: str, count: Count) -> None:
        """A store's row is there while it is at work."""
        if (name, "changes") not in self._rows:
            self._row(name, "changes", count.todo)
        self._draw(name, "changes", count)
        if count.changes >= count.todo.changes:
            self.progress.update(self._rows[name, "changes"], visible=False)

    def _draw(self, store: str, unit: str, count: Count) -> None:
        row = self._rows.get((store, unit))
        if row is None:
            return
        done, total = _AMOUNTS[unit](count), max(_AMOUNTS[unit](count.todo), _AMOUNTS[unit](count))
        words = format_size if unit == "bytes" else "{:,}".format
        self.progress.update(row, completed=done, total=total, note=f"{words(done)} of {words(total)}")


@contextmanager
def bars() -> Iterator[Watcher]:
    """A watcher that draws on stderr, and leaves nothing there."""
    shown = Bars(Console(stderr=True))
    with shown.progress:
        yield shown
