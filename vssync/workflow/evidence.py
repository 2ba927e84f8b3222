"""Adds to a refusal the lines of the manifest that it is about; the guards themselves know no files and no lines."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from vssync import sources
from vssync.manifest import Path, provenance
from vssync.model import DesiredStore
from vssync.plan import Plan, Refusal
from vssync.sources import Loaded

_SHOWN = 5  # entries of one store


def placed(plan: Plan, loaded: Loaded) -> Plan:
    """The plan whose refusals say where the store's files are chosen, and how many are found today."""
    stores = {store.key: store for store in loaded.desired.stores}
    refusals = [_placed(refusal, stores.get(refusal.store), loaded) for refusal in plan.refusals]
    return replace(plan, refusals=tuple(refusals))


def _placed(refusal: Refusal, store: DesiredStore | None, loaded: Loaded) -> Refusal:
    if store is None:
        return refusal
    spec = next(spec for spec in loaded.manifest.stores if spec.settings.key == store.key)
    chosen = Counter(provenance(loaded.manifest, store.key, file, {})["file"] for file in store.files)
    patterns = {entry.layer.path: entry.pattern.text for entry in spec.entries if entry.pattern is not None}
    shown: list[Path] = sorted(patterns, key=lambda path: chosen[path])[:_SHOWN]
    places = sources.places(loaded, shown)
    lines = [f"{places[path]} {patterns[path]} matches {_files(chosen[path])} today." for path in sorted(shown)]
    if (more := len(patterns) - len(shown)) > 0:
        lines.append(
            f"{more:,} more entries match {_files(sum(chosen.values()) - sum(chosen[path] for path in shown))}."
        )
    return replace(refusal, way_out=(*lines, *refusal.way_out))


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"
