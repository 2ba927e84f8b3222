"""What can go wrong here: a request that is refused, a folder that cannot be used, options that make no sense.

`ApiError` becomes a response in the dialect's shape (see `shapes`); the others are for whoever opens the service.
"""

from __future__ import annotations

REFUSAL = "vssync.refusal"  # in the WSGI environment: the ApiError that whoever wraps the service wants answered


class LocalDataError(Exception):
    """The folder of the local service cannot be read or written; the message names it and the way out."""


class OptionError(ValueError):
    """A provider, switch or fault that does not exist or cannot be read; the message names it and the way out."""


class ApiError(Exception):
    """An answer other than 200: status, a sentence, and the machine-readable rest."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def kind(self) -> str:
        if self.status == 429:
            return "requests"  # what OpenAI counts there; "tokens" is its other kind
        return "server_error" if self.status >= 500 else "invalid_request_error"
