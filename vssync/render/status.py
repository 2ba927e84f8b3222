"""What `vssync status` prints of each store."""

from __future__ import annotations

from collections import Counter

from vssync.model.plan import NoteKind, Plan, StorePlan
from vssync.planner.estimate import count_changes
from vssync.render import wording
from vssync.render.layout import View, fit_totals
from vssync.render.plan_text import join_blocks, store_verb, total_lines
from vssync.text import escape_control


def status_text(plan: Plan, view: View) -> str:
    """Each store: its id, whether it matches the manifest, its files, unmanaged ones, its digest."""
    totals = fit_totals(total_lines(plan)[-1:], view)
    if view.quiet:
        return join_blocks([totals])
    return join_blocks([[wording.heading_line(plan.owner, plan.service)], *map(_status_lines, plan.stores), totals])


def _status_lines(store: StorePlan) -> list[str]:
    notes = Counter[NoteKind]()
    for note in store.notes:
        notes[note.kind] += note.count
    uncompared = notes[NoteKind.UNCOMPARED]
    counts = count_changes(store)
    differ = [store_verb(store), *wording.file_parts(counts), *wording.rare_parts(counts)]
    agrees = "matches the manifest"
    files = f"{store.live:,} live, {store.wanted:,} in the manifest"
    files += f", {notes[NoteKind.UNMANAGED] + notes[NoteKind.FOREIGN]:,} unmanaged"
    files += f", {uncompared:,} {wording.NOTES[NoteKind.UNCOMPARED]}" if uncompared else ""
    entries = {
        "status": ", ".join(filter(None, differ)) or agrees,
        "files": files,
        **wording.digests(store),
        "applied": wording.stamp_text(store.applied),
    }
    head = f"{escape_control(store.key)}  {escape_control(store.id) or 'not live'}"
    return [head, *(f"  {name:<8}{escape_control(text)}" for name, text in entries.items() if text)]
