"""Exit codes in one place: what every kind of end prints on stderr, and the code it exits with."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from collections.abc import Callable
from typing import NoReturn

import click

from vssync.cli import signals
from vssync.errors import ManifestError, VssyncError

DONE, CHANGES, REFUSED, INCOMPLETE, USAGE, BUG = 0, 2, 3, 4, 64, 70


def run(command: Callable[[], object]) -> int:
    """Runs a click command to its exit code, and says what went wrong."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.UsageError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        error.show()
        return 1
    except ManifestError as error:
        count = len(error.problems)
        _say(f"{error}\nvssync: {count:,} problem{'s' if count > 1 else ''}; nothing was done")
        return error.exit_code
    except VssyncError as error:
        _say(f"vssync: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        signals.signals.end()
        _say("vssync: interrupted")
        return signals.signals.code()
    except Exception as error:
        _say(f"vssync: a bug: {type(error).__name__}: {error}. {_keep_traceback()}")
        return BUG


def leave(code: int) -> NoReturn:
    """Ends the process. After an interruption at once: threads may still wait for a service's answer."""
    if code in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _say(text: str) -> None:
    from vssync.render.escape import escape_ci_commands
    from vssync.text import escape_control

    print(escape_ci_commands("\n".join(escape_control(line) for line in text.split("\n"))), file=sys.stderr)


def _keep_traceback() -> str:
    """Where the traceback is: in a file, or right here where no folder takes one."""
    told = traceback.format_exc().rstrip()
    try:
        with tempfile.NamedTemporaryFile("wb", prefix="vssync-", suffix=".log", delete=False) as log:
            log.write(told.encode("utf-8", "backslashreplace"))
    except OSError:
        return f"No file can be made for its traceback:\n{told}"
    return f"The traceback is in {log.name}"
