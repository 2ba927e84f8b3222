"""The program, for tests that start it often: one process has it loaded, and forks for every call.

Each call is a process of its own, with its caller's streams, folder, variables and exit code; only reading the
program's modules, half a second of each start, is done once. Where there is no /proc, or what the interpreter makes of
its environment matters (locale, hash seed), it is started as its user starts it: `STARTED`.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import IO
from unittest.mock import patch

from vssync.api.rate_limit import Clock
from vssync.local import database

SKIPS_WAITS = "TEST_SKIPS_WAITS"  # a variable of a call; ignored where there is no /proc
STARTED = (sys.executable, "-m", "vssync")
# What a shell runs in the background ignores Ctrl-C, perhaps these tests, and so the program would.
HEARING = (
    *(sys.executable, "-c"),
    "import signal; signal.signal(signal.SIGINT, signal.SIG_DFL); from vssync.cli.main import main; main()",
)
_STUB = """\
#!/usr/bin/env bash
exec 3<&0 4>&1 5>&2  # its own streams are others while it tells and is told
mkfifo "{folder}/$$" && exec 6<>"{folder}/$$" && echo $$ >"{folder}/calls"
read -r -t 300 -u 6 code && exit "$code"
echo "the test's program is gone, or did not end in five minutes" >&5
exit 99
"""


@functools.cache
def program() -> str:
    """The path of a program that does what `STARTED` does."""
    folder = Path(tempfile.mkdtemp(prefix="program-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    stub = folder / "vssync"
    if not Path("/proc/self/fd").exists():
        stub.write_text(f'#!/usr/bin/env bash\nexec "{sys.executable}" -m vssync "$@"\n')
    else:
        stub.write_text(_STUB.format(folder=folder))
        _start(folder)
    stub.chmod(0o755)
    return str(stub)


def _start(folder: Path) -> None:
    os.mkfifo(folder / "calls")
    command = [sys.executable, "-m", "tests.program", str(folder)]
    process = subprocess.Popen(command, cwd=Path(__file__).parent.parent)
    calls = os.open(folder / "calls", os.O_RDWR)  # while it is open, the process waits for calls

    def stop_server() -> None:
        process.terminate()  # closing `calls` would not do: it may not have opened them yet, and then waits for ever
        process.wait()
        os.close(calls)

    atexit.register(stop_server)


def _serve(folder: Path) -> None:
    """Forks for every process id it reads, until nobody can write one any more, and tells each how its child ended."""
    package = importlib.import_module("vssync")
    for module in pkgutil.walk_packages(package.__path__, "vssync."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    patch.object(database, "PRAGMAS", (*database.PRAGMAS, "pragma synchronous = off")).start()
    gc.freeze()
    callers: dict[int, int] = {}  # by child

    def reap(*_: object) -> None:
        with contextlib.suppress(ChildProcessError):  # there is none left
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                _tell(folder / str(callers.pop(ended[0])), os.waitstatus_to_exitcode(ended[1]))

    signal.signal(signal.SIGCHLD, reap)
    with (folder / "calls").open() as calls:
        for line in calls:
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})  # a child may end before it is noted
            if (child := os.fork()) == 0:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
                _become(Path(f"/proc/{int(line)}"))
                return
            callers[child] = int(line)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})


def _tell(caller: Path, code: int) -> None:
    with contextlib.suppress(OSError):  # a caller that was killed waits no more
        code_pipe = os.open(caller, os.O_WRONLY | os.O_NONBLOCK)
        os.write(code_pipe, f"{code % 256}\n".encode())
        os.close(code_pipe)
        caller.unlink()


def _become(caller: Path) -> None:
    """Takes the caller's streams, folder, variables and arguments, and is the program."""
    sys.stdin, sys.stdout, sys.stderr = (_stream(caller, number) for number in range(3))
    os.chdir(caller / "cwd")
    variables = (caller / "environ").read_bytes().split(b"\0")[:-1]
    os.environb.clear()
    os.environb.update(dict(variable.split(b"=", 1) for variable in variables))
    _bash, _stub, *arguments = (caller / "cmdline").read_bytes().split(b"\0")[:-1]
    sys.argv = ["vssync", *map(os.fsdecode, arguments)]
    if SKIPS_WAITS in os.environ:
        _skip_waits()
    try:
        importlib.import_module("vssync.cli.main").main()
    except SystemExit as end:  # ends as the interpreter does, but takes none of what it was forked with apart
        threading._shutdown()  # type: ignore[attr-defined]  # as the interpreter does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(end.code if isinstance(end.code, int) else 0)


def _skip_waits() -> None:
    """Lets waiting move the program's own clock on at once; what others do meanwhile takes its time."""
    skipped, monotonic = [0.0], Clock.monotonic

    def sleep(clock: Clock, seconds: float) -> None:
        clock.check()
        skipped.append(skipped[-1] + seconds)

    patch.multiple(Clock, sleep=sleep, monotonic=lambda clock: monotonic(clock) + skipped[-1]).start()


def _stream(caller: Path, number: int) -> IO[str]:
    stream_fd = os.open(caller / "fd" / str(3 + number), (os.O_WRONLY | os.O_APPEND) if number else os.O_RDONLY)
    os.dup2(stream_fd, number)
    os.close(stream_fd)
    errors = "backslashreplace" if number == 2 else "strict"
    return open(number, "w" if number else "r", encoding="utf-8", errors=errors, closefd=False)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
