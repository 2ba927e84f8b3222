"""How far a run is, in all and store by store. Counts only; how it looks is for those who show it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from vssync.applier.context import StoreWorkload, Watcher
from vssync.cli import signals
from vssync.text import escape_control


@dataclass(slots=True)
class Count:
    """How much of what there is to do is done."""

    todo: StoreWorkload
    size: int = 0
    batches: int = 0
    changes: int = 0

    def add(self, *, size: int = 0, batches: int = 0, changes: int = 0) -> None:
        self.size += size
        self.batches += batches
        self.changes += changes


def _at_once() -> float:
    return 0.0


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclass(slots=True)
class Tally(Watcher):
    """A watcher that counts; `held` tells for how many seconds the service wants to be left alone. Thread-safe."""

    whole: Count = field(default_factory=lambda: Count(StoreWorkload("", 0, 0, 0)))
    stores: dict[str, Count] = field(default_factory=dict)
    held: Callable[[], float] = _at_once
    waste: int = 0  # uploads to delete in the end
    gone: int = 0  # of them
    write: Callable[[str], object] = _to_stderr
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def on_start(self, workloads: Sequence[StoreWorkload], throttled_for: Callable[[], float]) -> None:
        self.held = throttled_for
        self.stores = {each.store: Count(each) for each in workloads}
        sizes = sum(each.size for each in workloads)
        self.whole = Count(
            StoreWorkload("", sizes, sum(each.batches for each in workloads), sum(each.changes for each in workloads))
        )

    def on_uploaded(self, store: str, size: int) -> None:
        self._add(store, size=size)

    def on_batch_sent(self, store: str) -> None:
        self._add(store, batches=1)

    def on_settled(self, store: str, count: int) -> None:
        self._add(store, changes=count)

    def on_cleanup(self, uploads: int) -> None:
        self.waste = uploads

    def on_upload_deleted(self) -> None:
        with self._lock:
            self.gone += 1

    def on_ending(self) -> bool:
        return signals.signals.end()

    def on_message(self, text: str) -> None:
        self.write(escape_control(text))

    def _add(self, store: str, **more: int) -> None:
        with self._lock:
            self.whole.add(**more)
            self.stores[store].add(**more)
            self._moved(self.stores[store])

    def _moved(self, store: Count) -> None:
        """Something of a store is done; called by one thread at a time."""
