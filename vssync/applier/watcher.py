"""Who hears of a run's progress. Whoever shows it needs no more of the applier, and a plan nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run has to do, as its plan counts it."""

    size: int = 0  # bytes to upload
    batches: int = 0  # to create
    changes: Mapping[str, int] = field(default_factory=dict)  # of files and batches, by store key


class Watcher:
    """Hears of progress; override the methods you need. They are called from several threads, and must be quick."""

    __slots__ = ()

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        """What there is to do; `throttled_for` gives the seconds for which the service asks to pause from now on."""

    def on_upload_ready(self, store_key: str, size: int) -> None:
        """One more upload of `size` bytes is there: made now, or left by an earlier run. Stores may share it."""

    def on_batch_sent(self, store_key: str) -> None:
        """The service accepted one more batch."""

    def on_settled(self, store_key: str, count: int) -> None:
        """`count` more changes ended, whatever their results."""

    def on_cleanup(self, uploads: int) -> None:
        """All changes ended; this number of uploads that are no longer needed is about to be deleted."""

    def on_upload_deleted(self) -> None:
        """One more of those uploads was deleted, or could not be."""

    def on_message(self, text: str) -> None:
        """Something to tell the user, in one line."""

    def on_ending(self) -> None:
        """The run is winding up; called once, or twice where it was interrupted."""

    def may_stop_waiting(self) -> bool:
        """Whether to end an interrupted run at once; asked repeatedly while its last requests are in flight."""
        return False
