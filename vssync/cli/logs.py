"""`-v`, `-vv` and `--log-file`: where the log of requests goes. Without them nothing is logged.

Only vssync's own log is shown: the HTTP library's would quote headers.
"""

from __future__ import annotations

import logging
import sys
from functools import partial
from io import TextIOWrapper
from pathlib import Path

import click

from vssync.cli import events
from vssync.cli.events import EventFormatter, EventHandler, event_stream
from vssync.cli.help import FILE, OUTPUT, Choice, option
from vssync.text import escape_control

_LOGGER = logging.getLogger("vssync")
_LEVELS = (logging.INFO, logging.DEBUG)


class _StderrHandler(logging.Handler):
    """Writes to what is stderr at that moment: progress bars replace it for a while."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _FileHandler(logging.FileHandler):
    """Stops logging, and says so once, when the file cannot be written: a run is worth more than its log."""

    def _open(self) -> TextIOWrapper:
        """Only for its owner, since it holds names of files and stores."""
        from vssync.files import open_output

        return open(self.baseFilename, "a", encoding="utf-8", opener=partial(open_output, mode=0o600))

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        _LOGGER.removeHandler(self)
        click.echo(f"vssync: {self.baseFilename}: the log ends here: {sys.exc_info()[1]}", err=True)


class _OneLineFormatter(logging.Formatter):
    """A record on one line without control characters: a service may have written parts of it."""

    def format(self, record: logging.LogRecord) -> str:
        return escape_control(super().format(record))


def _log_to_stderr(_context: click.Context, _option: click.Parameter, verbosity: int) -> None:
    if verbosity:
        handler = EventHandler() if event_stream() else _StderrHandler()
        handler.setLevel(_LEVELS[min(verbosity, len(_LEVELS)) - 1])
        _add_handler(handler, "%(message)s")


def _log_to_file(_context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        handler = _FileHandler(path)
    except OSError as error:
        raise click.BadParameter(f"{path}: cannot be written: {error.strerror}", param=option) from error
    handler.setLevel(logging.DEBUG)
    _add_handler(handler, "%(asctime)s %(levelname)s %(threadName)s %(message)s")


def _add_handler(handler: logging.Handler, line_format: str) -> None:
    handler.setFormatter(EventFormatter() if event_stream() else _OneLineFormatter(line_format))
    _LOGGER.setLevel(logging.DEBUG)
    _LOGGER.addHandler(handler)


_log_option = partial(option, heading=OUTPUT, expose_value=False)
_FORMAT_HELP = "How stderr and --log-file are written; json: an object a line, see `vssync schema event`."
OPTIONS = (
    _log_option(
        "-v --verbose", "Log each request to stderr; -vv also logs retries.", count=True, callback=_log_to_stderr
    ),
    _log_option(
        "--log-file", "Append a log of the requests to this file.", metavar="PATH", type=FILE, callback=_log_to_file
    ),
    # Looked at before the command line is parsed: see `is_asked_for`.
    _log_option(events.OPTION, _FORMAT_HELP, variable=events.VARIABLE, type=Choice(events.FORMATS)),
)
