"""Ctrl-C and SIGTERM: the first ends the command in order, and a second one hurries it.

The first raises KeyboardInterrupt. One that followed at once would break the very steps by which the first ends the
command, so it only counts; and so does any that comes while the end is being told.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

_AT_ONCE = 1.0  # seconds in which what the first interrupted comes to its end


@dataclass
class Signals:
    """What this process was sent so far, oldest first."""

    clock: Callable[[], float] = time.monotonic
    seen: list[int] = field(default_factory=list)
    _raised: float = float("-inf")
    _ending: bool = False

    def listen(self) -> None:
        """Hears both from now on; what the caller of this program had ignored stays so, as under `nohup`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.hear)

    def hear(self, number: int, _frame: FrameType | None) -> None:
        """Takes one signal. Raises KeyboardInterrupt where that ends something."""
        self.seen.append(number)
        now = self.clock()
        if not self._ending and now - self._raised > _AT_ONCE:
            self._raised = now
            raise KeyboardInterrupt

    def end(self) -> bool:
        """Nothing is interrupted any more, since the command is ending; whether it was asked to more than once."""
        self._ending = True
        return len(self.seen) > 1

    def code(self) -> int:
        """The exit code for the first of them: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.seen[0] if self.seen else signal.SIGINT)


signals = Signals()
