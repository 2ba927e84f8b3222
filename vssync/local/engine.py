"""What serves one request: a transaction at a moment, and the upkeep that is due before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from vssync.local import files, ingestion, queries, transaction
from vssync.local.database import Database
from vssync.local.dialects import LocalOptions
from vssync.local.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Engine:
    database: Database
    clock: Callable[[], float]
    options: LocalOptions
    unsettled: dict[str, int] = field(default_factory=dict)  # new store to 404s still to be answered about it

    @contextmanager
    def transaction(
        self, *, writes: bool, fates: transaction.IngestionOverrides = transaction.usual_ingestion
    ) -> Iterator[Transaction]:
        with (self.database.writing if writes else self.database.reading)() as connection:
            yield Transaction(connection, self.clock(), self.options, fates)

    def propagating(self, store_id: str) -> bool:
        """Whether a store is too new for what it holds to be known, where that takes time."""
        dialect = self.options.dialect
        if not (dialect.creating_seconds or dialect.propagating_seconds):
            return False
        with self.transaction(writes=False) as tx:
            return queries.age(tx, queries.store(tx, store_id)) < dialect.creating_seconds + dialect.propagating_seconds

    def upkeep(self, store_id: str | None, *, looks: bool) -> None:
        """Expired Files go before anybody sees them; a look at a store (or at all) advances ingestion."""
        with self.transaction(writes=False) as tx:
            idle = not files.expired(tx) and not (looks and ingestion.waiting(tx, store_id, 1))
        if idle:
            return
        with self.transaction(writes=True) as tx:
            for row in files.expired(tx):
                files.remove(tx, row)
            if looks:
                ingestion.advance(tx, store_id)
