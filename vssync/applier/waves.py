"""Brings files in: upload in parallel, one batch, wait until every file is terminal, then remove what was replaced.

The old copy of a key goes only after its new one was read as completed, so that a reader of the store never finds the
key without a working version, except where the plan says that there is a gap.
"""

from __future__ import annotations

from collections import deque

from vssync.applier.attaching import attach
from vssync.applier.context import StoreRun
from vssync.applier.hint import Hint
from vssync.applier.landing import land
from vssync.applier.loads import Flight, load
from vssync.steps import StoreSteps


def run_waves(at: StoreRun, store: StoreSteps) -> None:
    """All waves of a store, at most `in_flight` batches at once."""
    flying: deque[Flight] = deque()
    hint = Hint(at, ours=store.settings is not None and not store.settings.external)

    def land_one() -> None:
        flying.extend(land(at, flying.popleft()))
        hint.say(flight.batch_id for flight in flying)

    for wave in store.waves:
        if at.run.stopping or not at.run.ways.attributes:
            break
        while len(flying) >= store.in_flight:
            land_one()
        loads = at.run.pool.map(lambda put: load(at, put), wave.puts)
        flying.extend(attach(at, [found for found in loads if found]))
        hint.say(flight.batch_id for flight in flying)
    while flying:
        land_one()
    hint.end()
