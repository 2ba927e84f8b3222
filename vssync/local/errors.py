"""What can go wrong here: a request that is refused, a folder that cannot be used, invalid options."""

from __future__ import annotations

REFUSAL_KEY = "vssync.refusal"  # in the WSGI environment: the ApiError that a wrapper of the service wants sent

OWN_REQUEST_KEY = "vssync.own_request"  # there too: a fault's own request, not a client's


class LocalDataError(Exception):
    """The folder of the local service cannot be read or written; the message names it and the way out."""


class OptionError(ValueError):
    """An unknown or invalid provider, switch or fault; the message names it and the way out."""


class ApiError(Exception):
    """A response other than 200, in the shape of the dialect: status, a sentence, and the machine-readable rest."""

    def __init__(self, status: int, message: str, *, code: str | None = None, param: str | None = None):
        super().__init__(message)
        self.status = status
        self.code = code
        self.param = param

    @property
    def error_type(self) -> str:
        if self.status == 429:
            return "requests"  # what OpenAI counts there; "tokens" is its other type
        return "server_error" if self.status >= 500 else "invalid_request_error"
