"""The retry table: whether and when a failed request is sent again. Pure.

    failure                                    reads, idempotent writes     other writes
    never reached the service                  again                        again
    429, 409 IncorrectState                    again                        again
    5xx but 501                                again                        lost: look before sending
    sent, no whole reply                       again                        lost: look before sending
    anything else                              an error                     an error

Eight attempts within ten minutes, one second doubling to thirty, with full jitter; a service's own `Retry-After`
comes first.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTEMPTS = 8
BUDGET = 600.0  # seconds, waiting included
FIRST, LONGEST = 1.0, 30.0  # seconds


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong: a status, or 0 with `sent` telling whether the service may have seen the request."""

    status: int = 0
    code: str = ""
    sent: bool = True
    retry_after: float | None = None

    @property
    def ambiguous(self) -> bool:
        """The request may have taken effect."""
        return (self.status == 0 and self.sent) or (self.status >= 500 and self.status != 501)

    @property
    def rejected(self) -> bool:
        """The service did nothing, and asks to come again."""
        return (
            (self.status == 0 and not self.sent)
            or self.status == 429
            or (self.status == 409 and self.code == "IncorrectState")
        )


def wait_before(failure: Failure, *, idempotent: bool, attempt: int, elapsed: float, dice: float) -> float | None:
    """Seconds to wait before the next attempt, or None to give up; `dice` is random in 0..1."""
    if attempt >= ATTEMPTS or not (failure.rejected or (failure.ambiguous and idempotent)):
        return None
    backoff: float = min(LONGEST, FIRST * 2 ** (attempt - 1))
    wait = failure.retry_after if failure.retry_after is not None else backoff * (0.5 + dice / 2)
    return wait if elapsed + wait <= BUDGET else None
