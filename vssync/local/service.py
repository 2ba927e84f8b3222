"""The service as a value: a WSGI callable over one folder, mounted in process or put on a port."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from vssync.local import batches
from vssync.local.app import application
from vssync.local.database import Database
from vssync.local.engine import Engine
from vssync.local.options import Options

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class Service:
    """Any number of threads may call it, and any number of processes may open the same folder."""

    def __init__(self, folder: Path, clock: Callable[[], float], options: Options, *, create: bool = True):
        self._database = Database(folder, create=create)
        engine = Engine(self._database, clock, options)
        if options.dialect.drops_batches:
            with engine.transaction(writes=True) as tx:
                batches.drop(tx)
        self._app = application(engine)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def close(self) -> None:
        """Requests under way end; later ones fail."""
        self._database.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_service(
    folder: Path, *, clock: Callable[[], float] = time.time, options: Options | None = None, create: bool = True
) -> Service:
    """Opens the data in `folder`. Raises `LocalDataError`.

    What is missing is created, at once or, without `create`, by the first request that writes.
    """
    return Service(folder, clock, options or Options(), create=create)
