"""One seeded scheduler in virtual time: threads that pass a baton, so that exactly one of them runs.

Whoever waits, takes a lock, sleeps, or calls `pause` hands the baton to a thread that the seed picks. What the standard
library has for threads and time is replaced while a simulation runs, and only for the threads of it: so the program's
own pools, gates and locks are at work, and the same seed gives the same run.
"""

from __future__ import annotations

import _thread
import concurrent.futures._base as futures
import concurrent.futures.thread as pools
import contextvars
import functools
import importlib
import os
import pkgutil
import queue
import random
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any
from unittest import mock

import vssync

START = 4_000_000_000.0  # in 2096
_SLOWEST = 5.0  # seconds that a thread which could run may be held up
_NIGHT = 30_000.0  # seconds
_BRIEF = 0.8  # how often a lock that is free is taken before anybody else can go on
_MOST_STEPS = 200_000  # of one run: more is a loop


class Killed(BaseException):
    """The machine of this thread is off: nothing that it does from here on reaches anybody."""


class StuckError(AssertionError):
    """No thread can run, or they run for ever."""


class Exited(BaseException):
    """What `os._exit` was called with."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass
class Group:
    """Threads that end together, as those of a process; `doom` is what ends them."""

    name: str
    skew: float = 0.0  # seconds that its clock is ahead
    doom: type[BaseException] | None = None
    at: int = 0  # the pause of its first thread at which `stop` comes; 0: none
    stop: type[BaseException] | None = Killed  # none: its clock leaps ahead, as after a night
    pauses: int = 0
    on_kill: Callable[[], None] = lambda: None


@dataclass(eq=False)
class Task:
    """A thread; it may run once `is_ready`, or when the time is `wake`."""

    group: Group
    act: Callable[[], object]
    is_first: bool
    baton: Any = field(default_factory=_thread.allocate_lock)
    is_ready: Callable[[], bool] | None = None
    wake: float | None = None
    is_done: bool = False
    error: BaseException | None = None


class Scheduler:
    """Chooses who goes on; `choices` is what it chose, from which a run can be told apart from another."""

    def __init__(self, seed: int, *, restless: float = 0.5, slow: float = 0.05) -> None:
        self.rng = random.Random(f"scheduler {seed}")
        self.entropy = random.Random(f"entropy {seed}")
        self.restless = restless  # how often the baton goes to another at a pause, if that can go on
        self.slow = slow  # how often time passes although a thread could run
        self.now = START
        self.tasks: list[Task] = []
        self.choices = bytearray()
        self._main = _thread.allocate_lock()
        self._main.acquire()
        self._count = 0
        self.failure: BaseException | None = None
        self.numbers = count()

    def spawn(self, group: Group, act: Callable[[], object], *, is_first: bool = False) -> Task:
        """A new thread, which waits for the baton."""
        task = Task(group, partial(contextvars.copy_context().run, act), is_first)
        task.baton.acquire()
        self.tasks.append(task)
        _thread.start_new_thread(self._live, (task,))
        return task

    def run(self) -> None:
        """Lets all threads run to their end. Raises the error of the first that had one."""
        with self.installed():
            if self.tasks:
                self._choose(None).baton.release()
                self._main.acquire()
        if self.failure:
            raise self.failure

    def fail(self, failure: BaseException) -> None:
        """Ends everything, for this reason."""
        self.failure = self.failure or failure
        for task in self.tasks:
            task.group.doom = Killed

    def pause(
        self, is_ready: Callable[[], bool] | None = None, seconds: float | None = None, *, brief: bool = False
    ) -> bool:
        """Hands the baton on; comes back once `is_ready`, or after so many seconds. Gives whether it is ready.

        Most `brief` ones nobody overtakes.
        """
        me: Task = _HERE.task
        if me.is_first:
            self._count_pause(me.group)
        self._raise_doom(me)
        me.is_ready, me.wake = is_ready, None if seconds is None else self.now + max(seconds, 0.001)
        chosen = me if brief and self.rng.random() < _BRIEF and self._can_run(me) else self._choose(me)
        if chosen is not me:
            chosen.baton.release()
            me.baton.acquire()
        me.is_ready = me.wake = None
        self._raise_doom(me)
        return is_ready is None or is_ready()

    def _count_pause(self, group: Group) -> None:
        group.pauses += 1
        if group.pauses == group.at:
            if group.stop is None:
                group.skew += _NIGHT
            elif group.stop is Killed:
                group.on_kill()
                group.doom = Killed
            else:
                raise group.stop

    def _raise_doom(self, me: Task) -> None:
        if me.group.doom:
            raise me.group.doom

    def _live(self, task: Task) -> None:
        # What stands for this thread, with locks that are none of the simulation: a command's first is its main thread.
        ident, dummy = _thread.get_ident(), threading.current_thread()
        threading._active[ident] = threading.main_thread() if task.is_first else dummy  # type: ignore[attr-defined]  # private
        task.baton.acquire()
        _HERE.task, _HERE.scheduler = task, self
        try:
            if not task.group.doom:
                task.act()
        except BaseException as error:
            task.error = error
        threading._active[ident] = dummy  # type: ignore[attr-defined]  # private
        task.is_done = True
        if task.is_first:
            task.group.doom = Killed  # a process ends with its first thread
        self.tasks.remove(task)
        (self._choose(None).baton if self.tasks else self._main).release()

    def _choose(self, me: Task | None) -> Task:
        self._count += 1
        if self._count == _MOST_STEPS:
            self.fail(StuckError("the threads run for ever"))
        ready = [task for task in self.tasks if self._can_run(task)]
        sleepers = [task for task in self.tasks if task.wake is not None and task.wake > self.now]
        if not ready or (sleepers and self.rng.random() < self.slow):
            first = min(sleepers, key=lambda task: task.wake or 0.0, default=None)
            if first is None:
                self.fail(StuckError(f"{[task.group.name for task in self.tasks]} wait for each other"))
                return self.tasks[0]
            if not ready or (first.wake or 0.0) - self.now < _SLOWEST:
                self.now = first.wake or self.now
                ready = [task for task in self.tasks if self._can_run(task)]
        if len(ready) == 1:
            return ready[0]
        if me in ready and self.rng.random() >= self.restless:
            return me
        number = self.rng.randrange(len(ready))
        self.choices.append(number)
        return ready[number]

    def _can_run(self, task: Task) -> bool:
        if task.group.doom or (task.wake is not None and task.wake <= self.now):
            return True
        return task.is_ready() if task.is_ready else task.wake is None

    @contextmanager
    def installed(self) -> Iterator[None]:
        """The standard library as the threads of simulations see it."""
        _load_everything()
        with ExitStack() as stack:
            for place, name, instead in _REPLACED:
                stack.enter_context(mock.patch.object(place, name, instead))
            stack.enter_context(mock.patch.object(random, "_urandom", self.entropy.randbytes))
            stack.enter_context(mock.patch.object(os, "urandom", self.entropy.randbytes))
            stack.enter_context(mock.patch.object(random, "random", self.entropy.random))
            stack.enter_context(mock.patch.object(futures, "id", hash, create=True))  # locks futures in this order
            stack.enter_context(mock.patch.object(futures.LOGGER, "disabled", new=True))  # of who is killed
            yield


@functools.cache
def _load_everything() -> None:
    """What is made once a process, and from random bytes, is made now: no run is the first."""
    for module in pkgutil.walk_packages(vssync.__path__, "vssync."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    tempfile.mktemp()


_HERE = threading.local()


def scheduler() -> Scheduler | None:
    """That of the thread that runs, if it is one of a simulation."""
    return getattr(_HERE, "scheduler", None)


class _Lock:
    """A lock of one simulation; taking it is a pause."""

    def __init__(self, at: Scheduler) -> None:
        self._at, self._is_taken = at, False

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        if not blocking and self._is_taken:
            return False
        if not self._at.pause(lambda: not self._is_taken, None if timeout < 0 else timeout, brief=True):
            return False
        self._is_taken = True
        return True

    def release(self) -> None:
        self._is_taken = False

    def locked(self) -> bool:
        return self._is_taken

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class _Condition:
    """Of one simulation. Who is notified is who waited longest."""

    def __init__(self, at: Scheduler, lock: Any = None) -> None:
        self._at, self._lock = at, lock or _Lock(at)
        self.acquire, self.release = self._lock.acquire, self._lock.release
        self._waiting: deque[list[bool]] = deque()

    def __enter__(self) -> bool:
        return bool(self._lock.__enter__())

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait(self, timeout: float | None = None) -> bool:
        notified = [False]
        self._waiting.append(notified)
        self._lock.release()
        was_notified = self._at.pause(lambda: notified[0], timeout)
        if not was_notified:
            self._waiting = deque(each for each in self._waiting if each is not notified)
        self._lock.acquire()
        return was_notified

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        end = None if timeout is None else self._at.now + timeout
        while not (result := predicate()):
            if end is not None and end <= self._at.now:
                break
            self.wait(None if end is None else end - self._at.now)
        return result

    def notify(self, n: int = 1) -> None:
        while n and self._waiting:
            self._waiting.popleft()[0] = True
            n -= 1

    def notify_all(self) -> None:
        self.notify(len(self._waiting))


class _SimpleQueue:
    """Of one simulation."""

    def __init__(self, at: Scheduler) -> None:
        self._at, self._items = at, deque[Any]()

    def put(self, item: Any) -> None:
        self._items.append(item)

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        if not self._items and not (block and self._at.pause(lambda: bool(self._items), timeout)):
            raise queue.Empty
        return self._items.popleft()

    def get_nowait(self) -> Any:
        return self.get(block=False)


class _Numbered:
    """What the standard library keeps in sets, whose order must not hang on addresses."""

    _number: int | None = None

    def __hash__(self) -> int:
        if self._number is None:
            at = scheduler()
            self._number = next(at.numbers) if at else id(self)
        return self._number


class _Future(_Numbered, futures.Future[Any]):
    pass


class _Thread(_Numbered, threading.Thread):
    """A thread that a thread of a simulation starts is one of it, and of the same group."""

    _task: Task | None = None

    def start(self) -> None:
        if at := scheduler():
            self._task = at.spawn(_HERE.task.group, self.run)
        else:
            super().start()

    def join(self, timeout: float | None = None) -> None:
        if (at := scheduler()) and (task := self._task):
            at.pause(lambda: task.is_done, timeout)
        elif not self._task:
            super().join(timeout)

    def is_alive(self) -> bool:
        return not self._task.is_done if self._task else super().is_alive()


def _here(of_simulation: Callable[..., Any], real: Callable[..., Any]) -> Callable[..., Any]:
    """What a thread of a simulation gets, and what every other does."""

    def make(*arguments: Any, **named: Any) -> Any:
        at = scheduler()
        return of_simulation(at, *arguments, **named) if at else real(*arguments, **named)

    return make


def _get(self: Any, instance: Any, _owner: Any = None) -> Any:
    """A `cached_property`; that of Python 3.11 holds a real lock, also while what it calls waits."""
    if instance is None:
        return self
    if self.attrname not in instance.__dict__:
        instance.__dict__[self.attrname] = self.func(instance)
    return instance.__dict__[self.attrname]


def _sleep(at: Scheduler, seconds: float) -> None:
    at.pause(lambda: False, seconds)


def _time(at: Scheduler) -> float:
    return at.now + float(_HERE.task.group.skew)


def _sync(at: Scheduler, _file: Any) -> None:
    at.pause()


def _exit(_at: Scheduler, code: int) -> None:
    raise Exited(code)


_REPLACED: tuple[tuple[Any, str, Any], ...] = (
    (threading, "Lock", _here(_Lock, threading.Lock)),
    (threading, "Condition", _here(_Condition, threading.Condition)),
    (threading, "Thread", _Thread),
    (futures, "Future", _Future),
    (queue, "SimpleQueue", _here(_SimpleQueue, queue.SimpleQueue)),
    (functools.cached_property, "__get__", _get),
    (pools, "_global_shutdown_lock", nullcontext()),  # only one thread runs, and it may wait with it
    (time, "sleep", _here(_sleep, time.sleep)),
    (time, "time", _here(_time, time.time)),
    (time, "monotonic", _here(_time, time.monotonic)),
    (os, "fsync", _here(_sync, os.fsync)),
    (os, "_exit", _here(_exit, os._exit)),
)
assert "greenlet" not in sys.modules  # its threads would share what is a thread's own
