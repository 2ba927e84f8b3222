"""Live batches as `vssync batches` shows them: progress, owner, and what a plan would do about each."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from vssync.document import document
from vssync.model.plan import Action, BatchChange
from vssync.model.state import Desired, LiveBatch
from vssync.render import wording
from vssync.text import escape_ci_commands, escape_control, format_elapsed

_DECISIONS = {Action.AWAIT: "wait", Action.CANCEL: "cancel"}


@dataclass(frozen=True, slots=True)
class LiveBatchRow:
    """A batch in progress in one store; `age` in seconds by the service's clock, `change` what a plan would do."""

    store: str
    store_id: str
    batch: LiveBatch
    age: int
    ours: bool
    change: BatchChange | None = None

    @property
    def decision(self) -> str:
        if not self.ours:
            return "left alone"
        return _DECISIONS.get(self.change.action, "") if self.change else "nothing to wait for"


def batches_text(rows: tuple[LiveBatchRow, ...], desired: Desired) -> str:
    """A paragraph for each batch, its whole id first, for `vssync cancel`."""
    lines = [line for row in rows for line in _batch_lines(row)] or ["No batches in progress."]
    return escape_ci_commands("\n".join([wording.heading_line(desired.owner, desired.service), "", *lines]))


def _batch_lines(row: LiveBatchRow) -> list[str]:
    counts = row.batch.counts
    progress = wording.batch_progress(counts)
    whose = "ours" if row.ours else "others'"
    unwanted = f", {len(row.change.unwanted):,} no longer wanted" if row.change and row.change.unwanted else ""
    return [
        f"{escape_control(row.batch.id)}  {row.batch.status.replace('_', ' ')}, {format_elapsed(max(0, row.age))} old",
        f"  store     {escape_control(row.store)}",
        f"  files     {counts.total:,}: {progress}" if progress else f"  files     {counts.total:,}",
        f"  decision  {whose}: {row.decision}{unwanted}",
    ]


def batches_json(rows: tuple[LiveBatchRow, ...], desired: Desired) -> str:
    """The same for a program."""
    batches = [_batch_values(row) for row in rows]
    return document("batches", owner=desired.owner, provider=desired.service.provider, batches=batches)


def _batch_values(row: LiveBatchRow) -> dict[str, object]:
    return {
        "id": row.batch.id,
        "store": row.store,
        "status": row.batch.status.value,
        "counts": asdict(row.batch.counts),
        "age": row.age,
        "ours": row.ours,
        "decision": row.decision,
        "unwanted": list(row.change.unwanted) if row.change else [],
    }
