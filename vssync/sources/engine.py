"""Where documents are converted: in processes of this machine, or on the workers of a Dask cluster.

A conversion is a function from bytes to bytes on a `concurrent.futures.Executor`. Wherever it runs, a child process
does it, so that a document that takes too much time or memory ends that process and nothing else.
"""

from __future__ import annotations

import json
import os
import platform
import re
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import partial
from socket import create_connection
from threading import Timer
from typing import IO, Any, cast
from urllib.parse import urlsplit

from vssync.errors import UsageProblem, VssyncError

_START_SECONDS = 600.0  # until a process has imported what it needs, where many others run
_QUEUED_PER_WORKER = 4
_CONNECT_SECONDS = 10
# A document comes from anybody: what reads it gets no credential of the environment.
_PASSED_ON = frozenset(
    ("HOME", "LANG", "LD_LIBRARY_PATH", "OPENBLAS_CORETYPE", "PATH", "PYTHONPATH", "SYSTEMROOT", "TMPDIR")
)
_DASK = re.compile(r"dask://(?P<place>[^/@\s]+:[0-9]+)/?")


@dataclass(frozen=True, slots=True)
class ConversionLimits:
    """What one document may take: processor time and time by the clock, bytes of memory, and bytes of Markdown.

    A machine that is busy takes longer by the clock, and the plan must not depend on that.
    """

    seconds: float = 120.0
    wait: float = 600.0
    memory: int = 2 << 30
    output: int = 64 << 20


DEFAULT_LIMITS = ConversionLimits()


@dataclass(frozen=True, slots=True)
class Conversion:
    """A document's Markdown, or why there is none: it is not what others can read, or cannot be read here and now."""

    markdown: bytes = b""
    problem: str = ""
    is_unread: bool = False


class _Child:
    """One process that converts documents, one at a time, once it was started."""

    def __init__(self) -> None:
        environment = {name: value for name, value in os.environ.items() if name in _PASSED_ON}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "vssync.sources.converter"],  # -P: nothing is imported from this folder
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "PYTHONUTF8": "1", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1"},
        )
        self.is_late = self.is_spent = self.is_used = False
        self._stdin, self._stdout = cast(IO[bytes], self._process.stdin), cast(IO[bytes], self._process.stdout)

    def start(self) -> None:
        """Waits until it takes documents. Raises VssyncError where what it needs is not installed."""
        started = self._within(_START_SECONDS, self._receive)
        if started is None or started.problem:
            self.close()
            message = started.problem if started else f"a converter does not start: {self._last_words()}"
            raise VssyncError(message)

    def convert(self, data: bytes, extension: str, limits: ConversionLimits) -> Conversion | None:
        """The conversion; None where the process ended over it or was ended. One that `is_spent` takes no more."""
        header = json.dumps({"extension": extension, "size": len(data), **asdict(limits)}).encode()

        def ask() -> Conversion | None:
            self._stdin.write(header + b"\n")
            self._stdin.write(data)
            self._stdin.flush()
            return self._receive()

        return self._within(limits.wait, ask)

    @property
    def is_out_of_time(self) -> bool:
        """Whether a process that gave no conversion took too long over it; another would, too."""
        self._process.kill()  # if it has not ended by itself
        return self.is_late or self._process.wait() == -signal.SIGPROF

    def explain_end(self, limits: ConversionLimits) -> str:
        """Why the last document was not converted, of a process that ended over it."""
        if self.is_late:
            return f"takes longer than {limits.wait:g} s to convert"
        if self.is_out_of_time:
            return f"takes more than {limits.seconds:g} s of processor time to convert"
        return f"ends the converter: {self._last_words()}"

    def close(self) -> None:
        """Ends the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError):
                pipe.close()

    def _within(self, seconds: float, ask: Callable[[], Conversion | None]) -> Conversion | None:
        self.is_late = False

        def end() -> None:
            self.is_late = True
            self._process.kill()

        timer = Timer(seconds, end)
        timer.daemon = True
        timer.start()
        try:
            return ask()
        except (OSError, ValueError):  # its pipe is closed
            return None
        finally:
            timer.cancel()
            timer.join()  # so that it ends no later document

    def _receive(self) -> Conversion | None:
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            return None
        answer = json.loads(line)
        self.is_spent = answer["is_last"]
        data = self._stdout.read(answer["size"])
        return Conversion(data, answer["problem"]) if len(data) == answer["size"] else None

    def _last_words(self) -> str:
        code = self._process.wait()
        return f"killed by signal {-code}" if code < 0 else f"exit code {code}"


class Converters:
    """Processes that convert documents, as many as threads ask at once. Thread-safe."""

    def __init__(self) -> None:
        self._idle: list[_Child] = []
        self._all: set[_Child] = set()
        self._is_closed = False
        self.count = 0  # of documents that were converted or failed

    def convert(self, data: bytes, extension: str, limits: ConversionLimits) -> Conversion:
        """Converts a document in a process apart. Raises VssyncError where the converters do not fit."""
        child = self._idle_child() or self._start_child()
        conversion = child.convert(data, extension, limits)
        if child.is_used and (conversion is None or child.is_spent) and not child.is_out_of_time:
            self._end_child(child)  # the documents before may have left it too little memory
            child = self._start_child()
            conversion = child.convert(data, extension, limits)
        self.count += 1
        if conversion and not (child.is_spent or child.is_late):
            child.is_used = True
            self._idle.append(child)
            return conversion
        conversion = conversion or Conversion(problem=child.explain_end(limits))
        self._end_child(child)
        return conversion

    def _idle_child(self) -> _Child | None:
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def _start_child(self) -> _Child:
        child = _Child()
        self._all.add(child)  # before it has started, so that `close` ends it
        if self._is_closed:
            child.close()
        child.start()
        return child

    def _end_child(self, child: _Child) -> None:
        child.close()
        self._all.discard(child)

    def close(self) -> None:
        """Ends all processes; those that start or convert, too."""
        self._is_closed = True
        while self._all:
            self._all.pop().close()


CONVERTERS_OF_WORKER = Converters()  # in a process of a Dask worker


def convert_on_worker(data: bytes, extension: str, limits: ConversionLimits) -> Conversion:
    """What a Dask worker runs. Raises VssyncError that names its machine where its converters do not fit."""
    try:
        return CONVERTERS_OF_WORKER.convert(data, extension, limits)
    except VssyncError as error:
        raise VssyncError(f"on the worker {platform.node()}: {error}") from None


@dataclass(frozen=True, slots=True)
class ConversionEngine:
    """What converts, and how many documents it takes at once."""

    executor: Executor
    convert: Callable[[bytes, str, ConversionLimits], Conversion]
    workers: int

    def convert_all(
        self, documents: Iterable[Conversion | tuple[bytes, str]], limits: ConversionLimits
    ) -> Iterator[Conversion]:
        """The conversion of each document, given by its bytes and its extension, in order; or of what is done already.

        Few documents are in memory at once.
        """
        waiting: deque[Conversion | Future[Conversion]] = deque()
        for document in documents:
            if isinstance(document, Conversion):
                waiting.append(document)
            else:
                waiting.append(self.executor.submit(self.convert, *document, limits))
            if len(waiting) > self.workers * _QUEUED_PER_WORKER:
                yield _result(waiting.popleft())
        yield from map(_result, waiting)


def _result(conversion: Conversion | Future[Conversion]) -> Conversion:
    return conversion if isinstance(conversion, Conversion) else conversion.result()


@contextmanager
def open_engine(address: str = "") -> Iterator[ConversionEngine]:
    """The processes of this machine, or at an address such as dask://scheduler:8786 a cluster.

    Raises UsageProblem for another address, and VssyncError for a cluster that cannot be used.
    """
    if address:
        with _open_cluster(address) as engine:
            yield engine
        return
    converters, workers = Converters(), len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    executor = ThreadPoolExecutor(workers, "vssync-convert")
    try:
        yield ConversionEngine(executor, converters.convert, workers)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        converters.close()
        executor.shutdown()
        converters.close()  # what a thread started meanwhile


@contextmanager
def _open_cluster(address: str) -> Iterator[ConversionEngine]:
    match = _DASK.fullmatch(address)
    if not match:
        raise UsageProblem(f"--engine {address}: write it as dask://HOST:PORT, with the port of a Dask scheduler")
    try:
        from distributed import Client, KilledWorker
    except ImportError:
        raise UsageProblem(f"--engine {address}: Dask is missing; run: pip install 'vssync[dask]'") from None
    try:
        scheduler = urlsplit(address)
        create_connection((scheduler.hostname, scheduler.port), _CONNECT_SECONDS).close()  # Dask retries a refusal
        connect = partial(Client, f"tcp://{match['place']}", timeout=_CONNECT_SECONDS, set_as_default=False)
        client: Any = connect()
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise VssyncError(f"--engine {address}: the scheduler cannot be reached: {reason}") from None
    try:
        if not (workers := sum(client.nthreads().values())):
            raise VssyncError(f"--engine {address}: this cluster has no workers; start some with `dask worker`")
        with client.get_executor(pure=False) as executor:
            yield ConversionEngine(executor, convert_on_worker, workers)
    except KilledWorker as error:
        raise VssyncError(f"--engine {address}: workers die over a document: {error}") from error
    finally:
        client.close()
