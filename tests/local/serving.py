"""The service on a loopback port, for clients that need a real socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication


@contextmanager
def on_a_port(service: WSGIApplication) -> Iterator[str]:
    waitress = pytest.importorskip("waitress")
    server = waitress.create_server(service, host="127.0.0.1", port=0, threads=4, log_socket_errors=False)
    thread = Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}/v1"
    finally:
        with suppress(OSError):  # a worker may wake the loop first: then it is closed before we wake it
            server.trigger.pull_trigger(lambda: waitress.wasyncore.close_all(server._map))
        thread.join()
        server.task_dispatcher.shutdown()
