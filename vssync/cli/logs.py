"""`-v`, `-vv` and `--log-file`: where the log of requests goes. Without them nothing is logged.

Only vssync's own log is shown: the HTTP library's would quote headers.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

import click

_OURS = "vssync"
_LEVELS = (logging.INFO, logging.DEBUG)


class _Stderr(logging.Handler):
    """Writes to what is stderr at that moment: progress bars put themselves between."""

    def emit(self, record: logging.LogRecord) -> None:
        click.echo(self.format(record), err=True)


class _File(logging.FileHandler):
    """Says once that nothing more can be written: a run is worth more than its log."""

    def handleError(self, _record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        logging.getLogger(_OURS).removeHandler(self)
        click.echo(f"vssync: {self.baseFilename}: the log ends here: {sys.exc_info()[1]}", err=True)


class _OneLine(logging.Formatter):
    """A record on one line without anything that steers a terminal: a service may have written parts of it."""

    def format(self, record: logging.LogRecord) -> str:
        from vssync.text import escape_control

        return escape_control(super().format(record))


def _to_stderr(_context: click.Context, _option: click.Parameter, times: int) -> None:
    if times:
        _add(_Stderr(_LEVELS[min(times, len(_LEVELS)) - 1]), "%(message)s")


def _to_file(_context: click.Context, option: click.Parameter, path: Path | None) -> None:
    if path is None:
        return
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))  # names of files and stores are in it
        handler = _File(path, encoding="utf-8")
    except OSError as error:
        raise click.BadParameter(f"{path}: cannot be written: {error.strerror}", param=option) from error
    handler.setLevel(logging.DEBUG)
    _add(handler, "%(asctime)s %(levelname)s %(threadName)s %(message)s")


def _add(handler: logging.Handler, layout: str) -> None:
    handler.setFormatter(_OneLine(layout))
    ours = logging.getLogger(_OURS)
    ours.setLevel(logging.DEBUG)
    ours.addHandler(handler)


OPTIONS = (
    click.option(
        "-v",
        "--verbose",
        count=True,
        expose_value=False,
        callback=_to_stderr,
        help="Log each request to stderr; -vv also logs retries.",
    ),
    click.option(
        "--log-file",
        expose_value=False,
        callback=_to_file,
        metavar="PATH",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Append a log of the requests to this file.",
    ),
)
