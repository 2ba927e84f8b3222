"""Exit codes in one place: what every kind of end prints on stderr, and the code it exits with."""

from __future__ import annotations

import errno
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
        signals.heard.end()
        _say("vssync: interrupted")
        return signals.heard.code()
    except BrokenPipeError:
        # The reader of our output left (`| head`): nobody is there to be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            _say(f"vssync: the output cannot be written: {error.strerror}; make room")
            return INCOMPLETE
        _say(f"vssync: a bug: {type(error).__name__}: {error}. The traceback is in {_keep_traceback()}")
        return BUG


def leave(code: int) -> NoReturn:
    """Ends the process. After an interruption at once: threads may still wait for a service's answer."""
    if code in (130, 143):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _say(text: str) -> None:
    from vssync.render import clean

    print("\n".join(clean(line) for line in text.split("\n")), file=sys.stderr)


def _keep_traceback() -> str:
    with tempfile.NamedTemporaryFile("w", prefix="vssync-", suffix=".log", delete=False) as log:
        traceback.print_exc(file=log)
    return log.name
