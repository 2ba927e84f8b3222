"""Ctrl-C and SIGTERM: the first one ends the command in order, and a second one hurries it.

The first raises KeyboardInterrupt. One that follows within a second would interrupt the very steps by which the
command ends, so it is only counted; and so is any that comes while the end is being reported.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType

_QUIET_PERIOD = 1.0  # seconds in which a second signal is only counted


@dataclass
class Signals:
    """The signals that this process was sent so far, oldest first."""

    clock: Callable[[], float] = time.monotonic
    received: list[int] = field(default_factory=list)
    _raised_at: float = float("-inf")
    _ending: bool = False

    def listen(self) -> None:
        """Handles both signals from now on. What the caller had ignored stays ignored, as under `nohup`."""
        for number in (signal.SIGINT, signal.SIGTERM):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self.on_signal)

    def on_signal(self, number: int, _frame: FrameType | None) -> None:
        """Handles one signal. Raises KeyboardInterrupt where that interrupts something."""
        self.received.append(number)
        now = self.clock()
        if not self._ending and now - self._raised_at > _QUIET_PERIOD:
            self._raised_at = now
            raise KeyboardInterrupt

    def start_ending(self) -> bool:
        """From now on nothing is interrupted, since the command is ending. Whether it was interrupted twice."""
        self._ending = True
        return len(self.received) > 1

    def exit_code(self) -> int:
        """The exit code for the first signal: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.received[0] if self.received else signal.SIGINT)


signals = Signals()
