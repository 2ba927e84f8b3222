"""The retry table: whether and when a failed request is sent again. Pure.

    failure                                    reads, idempotent writes     other writes
    never reached the service                  again                        again
    certificate not trusted                    an error                     an error
    from the first, another's answer           an error                     lost: look before sending
    429 (but a spent quota), 409 IncorrectState again                       again
    408, 5xx but 501                           again                        lost: look before sending
    sent, no whole reply                       again                        lost: look before sending
    a kept connection closed before any answer once more, at once           lost: look before sending
    anything else                              an error                     an error

Eight attempts within ten minutes, one second doubling to thirty, with jitter; a service's own `Retry-After` comes
first. An address that never gave an answer in this run is probably a wrong one, so it gets three attempts only. One
that a request did not reach in all its attempts gets one for each further request, until it answers again.
"""

from __future__ import annotations

from dataclasses import dataclass

ATTEMPTS, FIRST_CONTACT = 8, 3
BUDGET = 600.0  # seconds, waiting included
FIRST, LONGEST = 1.0, 30.0  # seconds
_SPENT = ("insufficient_quota", "billing_hard_limit_reached")  # OpenAI: 429, and waiting does not help


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong: a status, or 0 with `sent` telling whether the service may have seen the request.

    `stale` is a connection kept from earlier that was closed without an answer; `hopeless` what no repetition mends.
    """

    status: int = 0
    code: str = ""
    sent: bool = True
    retry_after: float | None = None
    stale: bool = False
    hopeless: bool = False

    @property
    def ambiguous(self) -> bool:
        """The request may have taken effect."""
        return (self.status == 0 and self.sent) or self.status == 408 or (self.status >= 500 and self.status != 501)

    @property
    def unreached(self) -> bool:
        """The request went nowhere: no name, no network, nobody who listens."""
        return self.status == 0 and not self.sent

    @property
    def rejected(self) -> bool:
        """The service did nothing, and asks to come again."""
        return (
            self.unreached
            or (self.status == 429 and self.code not in _SPENT)
            or (self.status == 409 and self.code == "IncorrectState")
        )


def wait_before(
    failure: Failure, *, idempotent: bool, attempt: int, elapsed: float, dice: float, met: bool = True
) -> float | None:
    """Seconds to wait before the next attempt, or None to give up.

    `dice` is random in 0..1; `met` tells whether this address gave any answer in this run.
    """
    most = ATTEMPTS if met or failure.status else FIRST_CONTACT
    again = failure.rejected or (failure.ambiguous and idempotent)
    if attempt >= most or failure.hopeless or not again:
        return None
    if failure.stale and attempt == 1:
        return 0.0
    backoff: float = min(LONGEST, FIRST * 2 ** (attempt - 1))
    wait = failure.retry_after if failure.retry_after is not None else backoff * (0.5 + dice / 2)
    return wait if elapsed + wait <= BUDGET else None
