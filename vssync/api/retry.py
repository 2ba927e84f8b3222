"""The retry table: whether and when a failed request is sent again. Pure.

failure                                    reads, idempotent writes     other writes
never reached the service                  again                        again
certificate not trusted                    an error                     an error
the first answer is another server's       an error                     lost: look before sending
429 (but a spent quota), 409 IncorrectState again                       again
408, 5xx but 501                           again                        lost: look before sending
sent, no whole reply                       again                        lost: look before sending
a kept connection closed before any answer once more, at once           lost: look before sending
a kept connection was closed, nothing sent once more, at once           once more, at once
anything else                              an error                     an error
"""

from __future__ import annotations

from dataclasses import dataclass

# An address that never answered in this run is probably a wrong one, so it gets fewer attempts; so does what has a way
# round.
MAX_ATTEMPTS, FIRST_CONTACT_ATTEMPTS = 8, 3
BUDGET = 600.0  # seconds, waiting included
SHORTEST_WAIT, LONGEST_WAIT = 1.0, 30.0  # seconds, doubling; a longer `Retry-After` takes precedence
UNUSABLE_DATA = "local_data_unusable"  # of the service inside vssync: a full disk, a damaged file; nothing was done
_SPENT = ("insufficient_quota", "billing_hard_limit_reached")  # OpenAI: 429, and waiting does not help


@dataclass(frozen=True, slots=True)
class Failure:
    """What went wrong: a status, or 0 with `sent` telling whether the service may have seen the request.

    `stale`: a connection kept from earlier was closed without an answer. `is_permanent`: sending again cannot help.
    """

    status: int = 0
    code: str = ""
    sent: bool = True
    retry_after: float | None = None
    stale: bool = False
    is_permanent: bool = False

    @property
    def is_ambiguous(self) -> bool:
        """The request may have taken effect."""
        if self.code == UNUSABLE_DATA:
            return False
        return (self.status == 0 and self.sent) or self.status == 408 or (self.status >= 500 and self.status != 501)

    @property
    def is_unreached(self) -> bool:
        """The request went nowhere: no name, no network, nobody who listens."""
        return self.status == 0 and not self.sent

    @property
    def is_rejected(self) -> bool:
        """The service did nothing, and asks to come again."""
        is_throttled = self.status == 429 and self.code not in _SPENT
        return self.is_unreached or is_throttled or (self.status == 409 and self.code == "IncorrectState")


def max_attempts(failure: Failure, *, has_responded: bool = True, optional: bool = False) -> int:
    """How often to send a request that fails like this.

    `has_responded` tells whether this address gave any answer in this run; `optional`: there is a way round, so that
    an error of the service need not be waited out.
    """
    can_wait = has_responded or failure.status
    return MAX_ATTEMPTS if can_wait and not (optional and failure.status >= 500) else FIRST_CONTACT_ATTEMPTS


def wait_before_retry(
    failure: Failure,
    *,
    idempotent: bool,
    attempt: int,
    elapsed: float,
    jitter: float,
    attempts: int = MAX_ATTEMPTS,
) -> float | None:
    """Seconds to wait before the next attempt, or None to give up. `jitter` is random in 0..1."""
    can_retry = failure.is_rejected or (failure.is_ambiguous and idempotent)
    if attempt >= attempts or failure.is_permanent or not can_retry:
        return None
    if failure.stale and attempt == 1:
        return 0.0
    backoff: float = min(LONGEST_WAIT, SHORTEST_WAIT * 2 ** (attempt - 1))
    wait = max(backoff * (0.5 + jitter / 2), failure.retry_after or 0.0)  # some say 0, and mean nothing by it
    return wait if elapsed + wait <= BUDGET else None
