"""A client of a language server: just enough of the protocol to open a text and ask about a place in it."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Message = dict[str, Any]
_PATIENCE = 120.0  # seconds until a server that says nothing is ended, so that nobody waits for ever


class Server:
    """A language server on the other end of two pipes; answers its questions with nothing."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._asked = 0

    def ask(self, method: str, params: Message) -> Any:
        """A request and its result."""
        self._asked += 1
        number = self._asked
        self._send({"id": number, "method": method, "params": params})
        return self.wait(lambda message: message.get("id") == number and "method" not in message)["result"]

    def tell(self, method: str, params: Message) -> None:
        self._send({"method": method, "params": params})

    def wait(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that is wanted."""
        while True:
            message = self._receive()
            if wanted(message):
                return message
            if "id" in message and "method" in message:
                items = message["params"].get("items") if message["params"] else None
                self._send({"id": message["id"], "result": [{} for _ in items] if items else None})

    def _send(self, message: Message) -> None:
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        assert self._process.stdin
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self._process.stdin.flush()

    def _receive(self) -> Message:
        assert self._process.stdout
        length = 0
        while line := self._process.stdout.readline().strip():
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        assert length, "the server ended"
        message: Message = json.loads(self._process.stdout.read(length))
        return message


@contextmanager
def serving(*command: str) -> Iterator[Server]:
    """A server that has been started and introduced to; it ends with the block."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        server = Server(process)
        alarm = threading.Timer(_PATIENCE, process.kill)
        alarm.start()
        try:
            server.ask("initialize", {"processId": None, "rootUri": None, "capabilities": {}})
            server.tell("initialized", {})
            yield server
        finally:
            alarm.cancel()
            process.kill()
