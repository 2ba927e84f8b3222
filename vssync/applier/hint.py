"""Notes in a store which of our batches are under way, for services that do not list batches.

It is a hint: another machine can find and cancel what a dead run left. Nothing depends on its being there or complete,
so a note that cannot be written is given up without a word.
"""

from __future__ import annotations

from collections.abc import Iterable

from vssync.applier.context import StoreRun
from vssync.errors import VssyncError
from vssync.ownership import STORE_BATCHES, hint_of

EVERY = 5.0  # seconds between two notes of a store, but for the last


class Hint:
    """One store's note; only where the service lists no batches and its stores can be updated safely.

    None is written into a store that is not `ours`: an external one's metadata is somebody else's.
    """

    def __init__(self, at: StoreRun, *, ours: bool) -> None:
        self._at = at
        self._wanted: bool | None = None if ours else False
        self._said: tuple[str, ...] = ()
        self._next = 0.0

    def say(self, batch_ids: Iterable[str]) -> None:
        """These batches are under way."""
        found = tuple(filter(None, batch_ids))
        now = self._at.client.clock.monotonic()
        if found and found != self._said and now >= self._next and self._useful():
            self._next = now + EVERY
            self._write(found)

    def end(self) -> None:
        """None is under way any more."""
        if self._said:
            self._write(())

    def _useful(self) -> bool:
        """Asked once a store, and only when there is a batch to speak of."""
        if self._wanted is None:
            ways = self._at.run.ways
            self._wanted = ways.store_updates and ways.batches and self._lists_none()
        return self._wanted

    def _lists_none(self) -> bool:
        try:
            return self._at.client.batches(self._at.id) is None
        except VssyncError:
            return False

    def _write(self, batch_ids: tuple[str, ...]) -> None:
        """What others keep in the store's metadata goes along as it is: a write replaces the whole map."""
        try:
            live = self._at.client.store(self._at.id).metadata
            others = {name: value for name, value in live.items() if name != STORE_BATCHES}
            note = {STORE_BATCHES: hint_of(batch_ids)} if batch_ids else {}
            self._at.writes.update_store(self._at.id, {"metadata": {**others, **note}})
            self._said = batch_ids
        except VssyncError:
            self._wanted, self._said = False, ()
