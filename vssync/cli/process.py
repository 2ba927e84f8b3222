"""The process: its signals, its streams, its exit codes, and what is printed on stderr for each kind of error."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from types import FrameType
from typing import Any, NoReturn, TextIO

import click

from vssync.cli.events import EventStream, event_stream, is_asked_for
from vssync.errors import ManifestError, VssyncError
from vssync.text import count_noun, escape_ci_commands, escape_control, shorten_middle

DONE, ERROR, CHANGES, REFUSED, INCOMPLETE, USAGE, BUG = 0, 1, 2, 3, 4, 64, 70
_FROM_BEST = (DONE, CHANGES, REFUSED, USAGE, ERROR, INCOMPLETE, BUG)
_UNUSABLE = (errno.ENAMETOOLONG, errno.ELOOP, errno.EACCES, errno.EPERM)  # paths that a person named
_QUIET_PERIOD = 1.0  # seconds in which a second signal is only counted


@dataclass
class Signals:
    """The signals that this process was sent so far, oldest first.

    The first raises KeyboardInterrupt. One that follows within a second would interrupt the very steps by which the
    command ends, so it is only counted; and so is any that comes while the end is being reported.
    """

    clock: Callable[[], float] = time.monotonic
    received: list[int] = field(default_factory=list)
    _raised_at: float = float("-inf")
    _ending: bool = False

    def listen(self) -> None:
        """Handles both signals from now on. What the caller had ignored stays ignored, as under `nohup`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.on_signal)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Handles one signal. Raises KeyboardInterrupt where that interrupts something."""
        self.received.append(number)
        now = self.clock()
        if not self._ending and now - self._raised_at > _QUIET_PERIOD:
            self._raised_at = now
            raise KeyboardInterrupt

    def start_ending(self) -> bool:
        """From now on nothing is interrupted, since the command is ending. Whether it was interrupted twice."""
        self._ending = True
        return len(self.received) > 1

    def exit_code(self) -> int:
        """The exit code for the first signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.received[0] if self.received else signal.SIGINT)


signals = Signals()


class OutputLost(VssyncError):
    """Results could not be written. What was done until then is done."""

    exit_code = INCOMPLETE


def worst_code(codes: Iterable[int]) -> int:
    """The exit code of a command that did several things, each with one of these; one of a signal goes before all."""
    return max(
        codes, key=lambda code: (code not in _FROM_BEST, code in _FROM_BEST and _FROM_BEST.index(code)), default=DONE
    )


class _ForgivingStream(io.FileIO):
    """A stream that drops what cannot be written. With `report_full` the first full disk raises OutputLost.

    A reader that leaves, as `| head` does, is no error: the command goes on, and its exit code stays true.
    """

    def __init__(self, number: int, *, report_full: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self._report_full = report_full

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            pass
        except OSError as error:
            if self._report_full:
                self._report_full = False
                raise OutputLost(f"standard output: cannot be written: {error.strerror}; make room") from error
        return memoryview(data).nbytes


def replace_streams() -> None:
    """Replaces this process's streams, any of which may be closed, by forgiving ones."""
    sys.stdin = sys.stdin or os.fdopen(os.open(os.devnull, os.O_RDONLY))
    sys.stdout = _make_forgiving(sys.stdout, report_full=True)
    sys.stderr = _make_forgiving(sys.stderr, report_full=False)
    if is_asked_for(sys.argv[1:], os.environ):
        sys.stderr = EventStream(sys.stderr)


def _make_forgiving(stream: TextIO | None, *, report_full: bool) -> TextIO:
    """The stream made forgiving; characters that its encoding lacks are escaped."""
    if stream is None:
        return os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    buffer = io.BufferedWriter(_ForgivingStream(stream.fileno(), report_full=report_full))
    return io.TextIOWrapper(buffer, stream.encoding, "backslashreplace", line_buffering=stream.line_buffering)


def run_command(command: Callable[[], object]) -> int:
    """Runs a click command, prints its error if it has one, and returns its exit code."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        if names := getattr(error, "possibilities", None):  # of an option or a command that does not exist
            from vssync.manifest.diagnostics import find_closest

            word = getattr(error, "option_name", "") or getattr(error, "command_name", "")
            names[:] = filter(None, [find_closest(word, names)])
        if event_stream():
            print_error(error.format_message())
        else:
            error.show()
        return USAGE if isinstance(error, click.UsageError) else ERROR
    except ManifestError as error:
        _print_problems(error)
        return error.exit_code
    except VssyncError as error:
        print_error(f"vssync: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        signals.start_ending()
        print_error("vssync: interrupted")
        return signals.exit_code()
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _UNUSABLE and error.filename:
            path = shorten_middle(os.fsdecode(error.filename), 80)
            print_error(f"vssync: {path}: cannot be used: {error.strerror}; name another place")
            return ERROR
        print_error(f"vssync: a bug: {type(error).__name__}: {error}. {_save_traceback()}")
        return BUG


def end_process(code: int) -> NoReturn:
    """Ends the process; after an interruption at once, since threads may still wait for a service's answer."""
    if code in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    gc.freeze()  # else Python looks through everything once more before it is gone
    sys.exit(code)


def print_error(text: str, *, level: str = "error") -> None:
    """Prints lines on stderr, or one event of this level; what is only worth knowing is of the level `info`."""
    if stream := event_stream():
        stream.emit(
            "message" if level == "info" else level,
            level=level,
            message=text.removeprefix("vssync: ").removeprefix("warning: "),
        )
        return
    print(escape_ci_commands("\n".join(escape_control(line) for line in text.split("\n"))), file=sys.stderr)


def _print_problems(error: ManifestError) -> None:
    if stream := event_stream():
        for problem in error.problems:
            stream.emit("error", level="error", **{name: value or None for name, value in asdict(problem).items()})
        return
    print_error(f"{error}\nvssync: {count_noun(len(error.problems), 'problem')}; nothing was done")


def _save_traceback() -> str:
    """Writes the traceback to a file, and says where; where no file can be made, gives the traceback itself."""
    import tempfile
    import traceback

    text = traceback.format_exc().rstrip()
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="vssync-", suffix=".log", delete=False) as log:
            log.write(text.encode("utf-8", "backslashreplace"))
    except OSError:
        return f"The traceback cannot be saved to a file:\n{text}"
    return f"The traceback is in {log.name}"
