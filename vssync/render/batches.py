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


def batches_text(rows: tuple[LiveBatchRow, ...], desired: Desired, *, are_all: bool = True) -> str:
    """A paragraph for each batch, its whole id first, for `vssync cancel`; and whether there may be others."""
    lines = [wording.heading_line(desired.owner, desired.service), ""]
    for row in rows:
        batch, whose, age = row.batch, "ours" if row.ours else "others'", format_elapsed(max(0, row.age))
        progress = wording.batch_progress(batch.counts)
        unwanted = f", {len(row.change.unwanted):,} no longer wanted" if row.change and row.change.unwanted else ""
        lines += [
            f"{escape_control(batch.id)}  {wording.status_text(batch)}, {age} old",
            f"  store     {escape_control(row.store)}",
            f"  files     {batch.counts.total:,}{f': {progress}' if progress else ''}",
            f"  decision  {whose}: {row.decision}{unwanted}",
        ]
    unlisted = (
        [] if are_all else ["", f"{wording.UNLISTED_BATCHES.capitalize()}: only those that vssync noted are known."]
    )
    return escape_ci_commands("\n".join([*lines, *([] if rows else ["No batches in progress."]), *unlisted]))


def batches_json(rows: tuple[LiveBatchRow, ...], desired: Desired, *, are_all: bool = True) -> str:
    batches = [
        {
            "id": row.batch.id,
            "store": row.store,
            "status": row.batch.status.value,
            "reported_status": row.batch.reported_status or row.batch.status.value,
            "counts": asdict(row.batch.counts),
            "age": row.age,
            "ours": row.ours,
            "decision": row.decision,
            "unwanted": list(row.change.unwanted) if row.change else [],
        }
        for row in rows
    ]
    return document(
        "batches", owner=desired.owner, provider=desired.service.provider, batches_unlisted=not are_all, batches=batches
    )
