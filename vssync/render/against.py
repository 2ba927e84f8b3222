"""A comparison with an earlier revision of the manifest: its plan, below what is compared and must not be missed.

It is shown as a plan is, so that a reviewer learns one form. What is left out is shown where that changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from vssync import planfile
from vssync.document import json_value
from vssync.model.plan import Plan
from vssync.planner.against import ManifestComparison, is_made_up
from vssync.render import wording
from vssync.render.layout import View, wrap_sentences
from vssync.render.plan_text import plan_text
from vssync.text import escape_control

GOVERNING = "Settings that decide what an apply may do"
_NOTES = "Not compared"
_LEFT_OUT = "Left out, where that changed"


def comparison_text(comparison: ManifestComparison, view: View) -> str:
    basis = wrap_sentences(escape_control(basis_text(comparison)), 0, view)
    blocks = [
        [f"{title}:", *(f"  {part}" for line in lines for part in wrap_sentences(line, 2, view))]
        for title, lines in comparison_sections(comparison).items()
    ]
    return plan_text(shown_plan(comparison), view, [basis, *blocks])


def comparison_json(comparison: ManifestComparison) -> str:
    own = {name: json_value(getattr(comparison, name)) for name in ("before", "notes", "governing", "left_out_before")}
    after = json_value(comparison.after) if comparison.after else None
    lines = planfile.dump_lines(comparison.plan, "against", **own, after=after, same=comparison.same)
    return "".join(lines).rstrip("\n")


def basis_text(comparison: ManifestComparison, quote: Callable[[str], str] = str) -> str:
    """What is compared with what, and what that says."""
    to = f"{quote(str(comparison.after))} against" if comparison.after else "Against"
    before = quote(str(comparison.before))
    return f"{to} {before}: what an apply would do if that is what is live. No service was asked."


def comparison_sections(comparison: ManifestComparison) -> dict[str, list[str]]:
    """What stands above a plan, by its title: none of it is ever cut."""
    governing = [
        f"{field.name}: {wording.format_value(field.before)} -> {wording.format_value(field.after)}"
        for field in comparison.governing
    ]
    before = comparison.left_out_before
    left_out = [
        f"{store.key}: {wording.left_out_text(store.left_out, before[store.key]).removeprefix('left out: ')}"
        for store in comparison.plan.stores
        if store.key in before
    ]
    sections = ((_NOTES, comparison.notes), (GOVERNING, governing), (_LEFT_OUT, left_out))
    return {title: list(map(escape_control, lines)) for title, lines in sections if lines}


def shown_plan(comparison: ManifestComparison) -> Plan:
    """The plan as it is shown: a store is live "at 4f2a91c", and what it leaves out is told above."""
    place = f"at {comparison.before.commit[:7]}"
    stores = (
        replace(store, id=place if is_made_up(store.id) else store.id, left_out={}) for store in comparison.plan.stores
    )
    return replace(comparison.plan, stores=tuple(stores))
