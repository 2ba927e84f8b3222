"""What probes saw of a service: as capabilities of a manifest, and as switches of the local service. Pure.

A fact bears the name of the capability or of the switch that it decides; others only tell. What no probe could see is
not there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import StrEnum

from vssync.commands.doctor.samples import SAMPLES
from vssync.local.dialects import DIALECTS, Dialect, ErrorStyle, Undeletable
from vssync.local.ingestion import ACCEPTED, READABLE
from vssync.model.service import Capabilities

Fact = bool | int | str | Mapping[str, str]
Facts = Mapping[str, Fact]
_DEFAULTS = Capabilities()
# What is safe to take for so where no probe could tell: requests that every service knows, and nothing lost.
SAFE = {
    "attribute_updates": False,
    "batch_files": False,
    "batches": False,
    "list_batches": False,
    "shares_chunks": True,
    "store_updates": False,
    "updates_reach_search": False,
}


def capabilities_of(facts: Facts) -> dict[str, bool]:
    """Those that were seen, by the names of the manifest."""
    names = ("attributes", "store_creates", *SAFE)
    return {name: bool(facts[name]) for name in names if name in facts}


def capabilities_snippet(
    seen: Mapping[str, bool], declared: Mapping[str, int], defaults: Capabilities = _DEFAULTS
) -> str:
    """What to commit: every capability that differs from the defaults, and the safe side of what is not known."""
    unknown = SAFE.keys() - seen.keys() - declared.keys() if seen.get("attributes") else set[str]()
    values = {**seen, **{name: SAFE[name] for name in unknown}}
    differing = {name: has for name, has in sorted(values.items()) if has != getattr(defaults, name)}
    comments = dict.fromkeys(unknown, "  # not known: this is the safe side")
    lines = (f"    {name}: {str(has).lower()}{comments.get(name, '')}" for name, has in differing.items())
    snippet = "\n".join(["", "  capabilities:", *lines])
    if wrong := [name for name, has in declared.items() if name in seen and seen[name] != has]:
        way_out = f"Under `service`:\n{snippet}" if differing else "Remove that from `service.capabilities`."
        return f"The manifest says otherwise about {', '.join(sorted(wrong))}. {way_out}"
    if differing and not differing.keys() <= declared.keys():
        return f"Put this into the manifest, under `service`:\n{snippet}"
    return "Capabilities: as the manifest says."


def _of_kinds(field: str, ending: str, kinds: frozenset[str]) -> Callable[[Facts, Dialect], object]:
    """A switch that names types of files: those of the dialect that were not tried, and those that ended like this."""

    def types_of(facts: Facts, dialect: Dialect) -> object:
        tried = facts["kinds"]
        assert isinstance(tried, Mapping)
        possible = kinds & (frozenset(getattr(dialect, "accepts", ())) or kinds)
        seen = {kind for kind, end in tried.items() if re.fullmatch(ending, end) and kind in possible}
        known: tuple[str, ...] = getattr(dialect, field)
        types = seen | {kind for kind in known if kind not in tried}
        return known if types == {*known} else tuple(sorted(types))

    return types_of


def _accepted(facts: Facts, dialect: Dialect) -> object:
    """The types that a dialect takes alone, and those that were taken beside them, unless any type is."""
    only: tuple[str, ...] = getattr(dialect, "accepts", ())
    taken = {kind for kind in SAMPLES if not _kind(facts, kind).startswith("refused")} - {*only}
    return tuple(sorted(taken | {*only})) if only and taken and ".csv" not in taken else only


def _tells_nothing_of_lists(facts: Facts) -> bool:
    """Without batches, or where none can be read, that they are not listed is not another difference."""
    is_unreadable = facts.get("unreadable_batches") == facts.get("list_batches_status", 0)
    return facts.get("has_batches") is False or is_unreadable


def _undeletable(facts: Facts, _: Dialect) -> object:
    kinds = str(facts["refuses_deleting"]).split()
    return Undeletable.ALL if len(kinds) > 1 else Undeletable(kinds[0] if kinds else "nothing")


def _refused_content(facts: Facts, dialect: Dialect) -> object:
    others = tuple(purpose for purpose in dialect.refuses_content if purpose != "assistants")
    if not facts["refuses_content"]:
        return others
    return dialect.refuses_content if "assistants" in dialect.refuses_content else ("assistants", *others)


# Switches that are not facts of the same name: the fact that must be known, and the value.
_DERIVED: Mapping[str, tuple[str, Callable[[Facts, Dialect], object]]] = {
    "accepts_any_type": ("kinds", lambda facts, _: not str(_kind(facts, ".csv")).startswith("refused")),
    "accepts": ("kinds", _accepted),
    "errors": ("errors", lambda facts, _: ErrorStyle(str(facts["errors"]))),
    "ignores_files": ("files_form", lambda facts, _: facts["files_form"] == "ignored"),
    "lists_batches": (
        "list_batches",  # without any batches, the list is not another difference
        lambda facts, dialect: dialect.lists_batches if _tells_nothing_of_lists(facts) else facts["list_batches"],
    ),
    "refuses": ("kinds", _of_kinds("refuses", "refused.*", frozenset(ACCEPTED))),
    "refuses_content": ("refuses_content", _refused_content),
    "refuses_deleting": ("refuses_deleting", _undeletable),
    "stale_filters": ("updates_reach_search", lambda facts, _: not facts["updates_reach_search"]),
    "takes_attributes": ("takes_attributes", lambda facts, _: facts["takes_attributes"]),
    "takes_files": ("files_form", lambda facts, _: facts["files_form"] != "refused"),
    "unreadable": ("kinds", _of_kinds("unreadable", "failed( unsupported_file)?", frozenset(READABLE))),
}


def _kind(facts: Facts, kind: str) -> str:
    kinds = facts["kinds"]
    return kinds.get(kind, "refused") if isinstance(kinds, Mapping) else "refused"


def dialect_of(facts: Facts, provider: str) -> str:
    """The local service that behaves as what was seen, as `vssync serve --provider` takes it.

    It is the provider's dialect with the switches that differ; for a provider without one of its own, and for
    `compatible`, which may be anything, the nearest. Empty where too little was seen to tell.
    """
    if facts.keys().isdisjoint(("attributes", "stores_iam_only")):
        return ""
    names = (provider,) if provider in DIALECTS.keys() - {"compatible"} else ("local", "openai", "compatible")
    return min(
        (",".join((name, *_switches(facts, DIALECTS[name]))) for name in names), key=lambda text: text.count(",")
    )


def _switches(facts: Facts, dialect: Dialect) -> list[str]:
    """Those that differ from a dialect's, as they are written."""
    differing: list[str] = []
    for name in (field.name for field in fields(Dialect)):
        needed, derive = _DERIVED.get(name, (name, None))
        if needed in facts:
            value = derive(facts, dialect) if derive else facts[name]
            if value != getattr(dialect, name):
                differing.append(f"{name.replace('_', '-')}={_written(value)}")
    return differing


def _written(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, tuple):
        return "+".join(value)
    return str(value.value) if isinstance(value, StrEnum) else str(value)
