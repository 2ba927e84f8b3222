"""Exit codes, and what is printed on stderr for each kind of error."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

import click

from vssync.cli import signals
from vssync.errors import ManifestError, VssyncError
from vssync.text import escape_control

DONE, ERROR, CHANGES, REFUSED, INCOMPLETE, USAGE, BUG = 0, 1, 2, 3, 4, 64, 70


def run_command(command: Callable[[], object]) -> int:
    """Runs a click command, prints its error if it has one, and returns its exit code."""
    try:
        code = command()
        sys.stdout.flush()
        return code if isinstance(code, int) else DONE
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        error.show()
        return USAGE if isinstance(error, click.UsageError) else ERROR
    except ManifestError as error:
        count = len(error.problems)
        _print_error(f"{error}\nvssync: {count:,} problem{'s' if count > 1 else ''}; nothing was done")
        return error.exit_code
    except VssyncError as error:
        _print_error(f"vssync: {error}")
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        signals.signals.start_ending()
        _print_error("vssync: interrupted")
        return signals.signals.exit_code()
    except Exception as error:
        _print_error(f"vssync: a bug: {type(error).__name__}: {error}. {_save_traceback()}")
        return BUG


def end_process(code: int) -> NoReturn:
    """Ends the process; after an interruption at once, since threads may still wait for a service's answer."""
    if code in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _print_error(text: str) -> None:
    from vssync.text import escape_ci_commands

    print(escape_ci_commands("\n".join(escape_control(line) for line in text.split("\n"))), file=sys.stderr)


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
