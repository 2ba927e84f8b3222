"""What every part of a run shares: the client, threads, results, and the uploads that may have to go."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, TypeVar

from vssync.api.capabilities import MissingCapability
from vssync.api.client import Client
from vssync.applier.ledger import UploadPool
from vssync.applier.results import Result, Results
from vssync.applier.steps import Drop
from vssync.applier.writes import Writes
from vssync.model.report import Orphan
from vssync.model.state import Capabilities, LiveFile
from vssync.threads import Pool


class Keyed(Protocol):
    """A step about one change."""

    @property
    def key(self) -> str: ...


_ENOUGH = 8  # refusals of a kind, none of which was taken, until it is given up for a run
Step = TypeVar("Step", bound=Keyed)


@dataclass(frozen=True, slots=True)
class StoreWorkload:
    """What a run has to do in a store: bytes of files to upload, batches to create, changes in all."""

    store: str
    size: int
    batches: int
    changes: int


class Watcher(Protocol):
    """Told of progress while a run goes on, by the store's key; must be thread-safe and quick."""

    def begin(self, todo: Sequence[StoreWorkload], held: Callable[[], float]) -> None:
        """What there is to do; `held` tells for how many seconds the service wants to be left alone from now on."""

    def uploaded(self, store: str, size: int) -> None:
        """One more file is uploaded; its bytes."""

    def batched(self, store: str) -> None:
        """One more batch is under way."""

    def settled(self, store: str, count: int) -> None:
        """So many more changes came to an end, good or bad."""

    def clear(self, uploads: int) -> None:
        """All changes came to an end; so many uploads that they left over are to be deleted."""

    def cleared(self) -> None:
        """One more of those uploads is deleted, or was not to be."""

    def say(self, text: str) -> None:
        """Something worth a line."""

    def end(self) -> bool:
        """The run is ending, and must not be interrupted any more; whether a person is tired of waiting for that."""


@dataclass(frozen=True, slots=True)
class Pause:
    """How often to look, in seconds: growing from `first` to `longest`, unless the service gives a hint."""

    first: float = 0.5
    longest: float = 10.0


@dataclass(frozen=True, slots=True)
class PendingDelete:
    """An upload to delete: why, and the store it was detached from, if any."""

    why: str
    store_id: str = ""


@dataclass(slots=True)
class ApplyRun:
    """One apply under way."""

    client: Client
    writes: Writes
    pool: Pool
    root: Path
    watcher: Watcher
    ways: Capabilities = field(default_factory=Capabilities)  # as stated, and less what the service refuses
    fail_fast: bool = False
    declared: frozenset[str] = frozenset()  # ids and names of the manifest's stores, for those without its mark
    results: Results = field(init=False)
    pause: Pause = Pause()
    deadline: float = 600.0  # seconds without progress until a file or batch is given up for this run
    grace: float = 120.0  # seconds a new object may stay invisible
    uploads: UploadPool = field(default_factory=UploadPool)
    _trash: dict[str, PendingDelete] = field(default_factory=dict)
    _loose: dict[str, str] = field(default_factory=dict)
    _suspects: list[Orphan] = field(default_factory=list)
    _taken: Counter[str] = field(default_factory=Counter)
    _refused: Counter[str] = field(default_factory=Counter)
    _said: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.results = Results(self.client.clock.monotonic)

    @property
    def stopping(self) -> bool:
        """Something failed, and the run was told to end then."""
        return self.fail_fast and self.results.any_failed()

    def lacks(self, lack: MissingCapability) -> None:
        """Closes a way for this run, since the service refused it."""
        with self._lock:
            self.ways = replace(self.ways, **{lack.value: False})

    def suspect(self, detail: str) -> None:
        """Remembers an upload that may exist although its reply was lost."""
        with self._lock:
            self._suspects.append(Orphan("", detail, suspected=True))

    def suspects(self) -> tuple[Orphan, ...]:
        """Uploads that may exist."""
        with self._lock:
            return tuple(self._suspects)

    def judge(self, extension: str, *, taken: bool) -> None:
        """Remembers whether the service took a file of this kind."""
        with self._lock:
            (self._taken if taken else self._refused)[extension] += 1

    def refused(self, extension: str) -> bool:
        """Whether no more files of this kind are worth sending in this run.

        Services also judge contents, so that a few refusals, or any among files that were taken, say nothing of it.
        """
        with self._lock:
            return self._refused[extension] >= _ENOUGH and not self._taken[extension]

    def say_once(self, text: str) -> None:
        """Tells the watcher what would be true of many files."""
        with self._lock:
            fresh = text not in self._said
            self._said.add(text)
        if fresh:
            self.watcher.say(text)

    def throw(self, file_id: str, why: str, store_id: str = "") -> None:
        """Remembers an upload of ours that nothing should hold any more; it goes at the end of the run."""
        with self._lock:
            self._trash[file_id] = PendingDelete(why, store_id)

    def trash(self) -> dict[str, PendingDelete]:
        """What should go, by File id."""
        with self._lock:
            return dict(self._trash)

    def uploaded(self, file_id: str, why: str) -> None:
        """Remembers a fresh upload until it is attached or discarded: an interrupted run must name it."""
        with self._lock:
            self._loose[file_id] = why

    def attached(self, file_ids: Iterable[str]) -> None:
        """These uploads are in their store, or gone."""
        with self._lock:
            for file_id in file_ids:
                self._loose.pop(file_id, None)

    def loose(self) -> tuple[Orphan, ...]:
        """Uploads that no store is known to hold, but for those thrown away."""
        with self._lock:
            return tuple(Orphan(file_id, why) for file_id, why in self._loose.items() if file_id not in self._trash)

    def left_behind(self) -> tuple[Orphan, ...]:
        """Uploads that nothing holds when a run ends early."""
        return tuple(Orphan(file_id, waste.why) for file_id, waste in self.trash().items()) + self.loose()


@dataclass(slots=True)
class Pace:
    """When files of a store were last seen to come to an end, in monotonic seconds."""

    moved: float = 0.0


@dataclass(frozen=True, slots=True)
class StoreContext:
    """A run at work on one store: its key in the manifest, its live id, the attributes that others own."""

    run: ApplyRun
    key: str
    id: str
    ignore: tuple[str, ...] = ()
    pace: Pace = field(default_factory=Pace)

    @property
    def client(self) -> Client:
        return self.run.client

    @property
    def writes(self) -> Writes:
        return self.run.writes

    def file(self, file_id: str) -> LiveFile:
        """One file of this store."""
        return self.client.get_file(self.id, file_id)

    def result(self, key: str, result: Result) -> None:
        """Records what became of a change of this store."""
        self.run.results.add(self.key, key, result)

    def begin(self, key: str) -> None:
        """Records that requests for a change of this store may be under way."""
        self.run.results.begin(self.key, key)

    def again(self, key: str) -> None:
        """Records that a change of this store is tried once more."""
        self.run.results.again(self.key, key)

    def settled(self, count: int = 1) -> None:
        """Tells who watches that so many more changes of this store came to an end, good or bad."""
        self.run.watcher.settled(self.key, count)

    def each(self, function: Callable[[StoreContext, Step], None], steps: Iterable[Step]) -> None:
        """Runs a function over steps by the run's threads; nothing when the run is to end."""

        def one(step: Step) -> None:
            if not self.run.stopping:
                self.begin(step.key)
                function(self, step)
                self.settled()

        self.run.pool.map(one, steps)

    def detach(self, drop: Drop) -> None:
        """Takes one copy out of the store, and remembers its upload when it is ours."""
        self.writes.detach(self.id, drop.file_id, ours=drop.uploaded)
        if drop.uploaded:
            self.run.throw(drop.file_id, f"replaced or removed copy of {drop.key}", self.id)
