"""What can go wrong here: a request that is refused, and a folder that cannot be used.

`ApiError` becomes a response in OpenAI's error shape; `LocalDataError` is for whoever opens the service.
"""

from __future__ import annotations

from typing import Any


class LocalDataError(Exception):
    """The folder of the local service cannot be read or written; the message names it and the way out."""


class ApiError(Exception):
    """An answer other than 200: status, a sentence, and the machine-readable rest."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    def body(self) -> dict[str, Any]:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return {"error": {"message": str(self), "type": kind, "param": self.param, "code": self.code}}
