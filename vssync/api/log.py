"""The log of requests: methods, paths, statuses, times and request ids; never a header, a body or a query.

A record's arguments are the fields of its event; `event` names its kind.
"""

from __future__ import annotations

import logging

_log = logging.getLogger(__name__)


def log_answer(method: str, path: str, status: int, seconds: float, request_id: str = "") -> None:
    """Logs a request that was answered."""
    fields = {"event": "request", "method": method, "path": path, "status": status, "ms": round(seconds * 1000)}
    text = "%(method)s %(path)s %(status)d %(ms)d ms"
    if request_id:
        _log.info(f"{text} %(request_id)s", fields | {"request_id": request_id})
    else:
        _log.info(text, fields)


def log_no_answer(method: str, path: str, error: Exception) -> None:
    """Logs a request that was not answered, by the kind of error."""
    fields = {"event": "request", "method": method, "path": path, "error": type(error).__name__}
    _log.info("%(method)s %(path)s no answer: %(error)s", fields)


def log_retry(method: str, path: str, wait: float, attempt: int, attempts: int) -> None:
    """Logs that a request will be sent again in `wait` seconds."""
    fields = {"event": "retry", "method": method, "path": path, "wait": round(wait, 3)}
    fields |= {"attempt": attempt, "attempts": attempts}
    _log.debug("%(method)s %(path)s: again in %(wait).1f s, attempt %(attempt)d of %(attempts)d", fields)
