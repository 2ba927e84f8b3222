"""What a run tells those who watch it: its workload, results, messages. They need nothing else of the applier."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from vssync.model.report import Report, Status


@dataclass(frozen=True, slots=True)
class Workload:
    """What a run has to do, as its plan counts it."""

    size: int = 0  # bytes to upload
    batches: int = 0  # to create
    changes: Mapping[str, int] = field(default_factory=dict)  # of files and batches, by store key


# Of several results of one change, the worst counts.
_WORST_FIRST = (Status.FAILED, Status.UNKNOWN, Status.DOUBLED, Status.SKIPPED, Status.DONE)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one change so far."""

    status: Status
    detail: str = ""
    request_id: str = ""
    attempts: int = 1  # how often the request that ended it was sent
    already: bool = False  # done before this run came to it

    @property
    def rank(self) -> tuple[int, bool]:
        """Its place among several results of one change: the lowest counts.

        "Already done" comes before "done": a change that this run found done is reported so, whatever steps followed.
        """
        return _WORST_FIRST.index(self.status), not self.already


DONE = Result(Status.DONE)
ALREADY_DONE = Result(Status.DONE, already=True)


class Watcher:
    """Hears of progress; override the methods you need. They are called from several threads, and must be quick."""

    __slots__ = ()

    def on_start(self, workload: Workload, throttled_for: Callable[[], float]) -> None:
        """What there is to do; `throttled_for` gives the seconds for which the service asks to pause from now on."""

    def on_upload_ready(self, store_key: str, key: str, file_id: str, size: int) -> None:
        """One more upload of `size` bytes is there: made now, or left by an earlier run. Stores may share it."""

    def on_batch_sent(self, store_key: str, batch_id: str, count: int) -> None:
        """The service accepted one more batch, of `count` files; the id is empty where nothing can be read by it."""

    def on_settled(self, store_key: str, key: str, result: Result) -> None:
        """One more change ended: of the file with this key, or the batch with this id."""

    def on_cleanup(self, uploads: int) -> None:
        """All changes ended; this number of uploads that are no longer needed is about to be deleted."""

    def on_upload_deleted(self) -> None:
        """One more of those uploads was deleted, or could not be."""

    def on_message(self, text: str) -> None:
        """Something to tell the user, in one line."""

    def on_ending(self) -> None:
        """The run is winding up; called once, or twice where it was interrupted."""

    def on_end(self, report: Report) -> None:
        """The run ended."""

    def may_stop_waiting(self) -> bool:
        """Whether to end an interrupted run at once; asked repeatedly while its last requests are in flight."""
        return False
