"""What a plan says of the change of a store itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tests.simulation.change_claims import false_reason
from tests.simulation.claims import Claim
from tests.simulation.judge import Case, checks, settings_deviation
from tests.simulation.plan_claims import differs, store_key

Values = Mapping[str, Any]


class StoreSubject:
    """A change of a store itself."""

    def __init__(self, key: str, change: Values, case: Case) -> None:
        self.case, self.change, self.key = case, change, key.partition("@")[0]
        self.wanted, self.live = case.wanted.stores.get(key), case.store(key)
        self.deviation = (
            settings_deviation(case.wanted.owner, self.wanted, self.live) if self.wanted and self.live else ""
        )


_STORE_REASONS: dict[str, Callable[[StoreSubject], bool]] = {
    "missing": lambda of: of.live is None,
    "unmarked": lambda of: of.live is not None and (not of.live.mark[0] or of.live.is_adopting),
    "other_owner": lambda of: of.live is not None and of.live.mark[0] not in ("", of.case.wanted.owner),
    "settings_changed": lambda of: of.live is not None,
    "drifted": lambda of: bool(of.deviation) or of.live is not None,
    "moved": lambda of: of.wanted is not None and of.live is not None and of.live.mark[1] != of.wanted.key,
    "expired": lambda of: of.live is not None and of.live.is_expired,
    "not_in_manifest": lambda of: of.wanted is None or of.live is not None,
    "removed": lambda of: of.key in of.case.wanted.removed,
    "released": lambda of: of.key in of.case.wanted.removed,
    "destroy": lambda of: of.live is not None,
    "protected": lambda of: of.live is not None,
    "not_allowed": lambda of: of.change["action"] == "refuse",
    "impossible": lambda of: of.change["action"] == "refuse",
    "unlisted": lambda of: of.live is not None and not of.live.is_expired,
    "unreadable": lambda of: of.live is not None and of.live.has_newer_mark,
}


@checks("StoreChange.action", "status.Store.action", "StorePlan.change?")
def check_store_action(claim: Claim, case: Case) -> str:
    value = claim.value["action"] if isinstance(claim.value, Mapping) else claim.value
    of = StoreSubject(store_key(claim), claim.holder, case)
    if value is None:
        is_new = of.wanted is not None and of.live is None and case.in_scope(store_key(claim))
        deviation = of.deviation if case.in_scope(store_key(claim)) else ""
        return "the store does not exist" if is_new else deviation
    live, owner = of.live, case.wanted.owner
    if value == "create":
        return "it exists" if live and not live.is_expired else ""
    if live is None:
        return "" if value == "refuse" else "it does not exist"
    if value == "replace":
        change = claim.value if isinstance(claim.value, Mapping) else claim.holder
        return "" if live.is_expired or "unlisted" in change["reasons"] else "it is not expired"
    if value == "delete":
        is_left = of.wanted is None or len(case.marked(of.wanted.key, case.run.after)) > 1
        return "" if is_left and live.mark[0] == owner else "it is wanted"
    if value == "adopt":
        return "it is ours" if live.mark[0] == owner and not live.is_adopting else ""
    if value == "update":
        has_lost_mark = not live.mark[0] and live.copies(owner)
        return "" if live.mark[0] == owner or has_lost_mark else "it is not ours"
    return "" if value == "refuse" else "a store has no such action"


@checks("StoreChange.reasons[]")
def check_store_reasons(claim: Claim, case: Case) -> str:
    return false_reason(claim.value, _STORE_REASONS, StoreSubject(store_key(claim), claim.holder, case))


@checks("StoreChange.metadata{}")
def check_metadata(claim: Claim, case: Case) -> str:
    """The whole map to send: what is wanted, our mark, and what others wrote."""
    of = StoreSubject(store_key(claim), claim.holder, case)
    if claim.holder["reasons"] == ["released"]:
        others = of.live.metadata if of.live else {}
        return differs(claim.value, {name: others[name] for name in others if not name.startswith("vssync_")})
    if of.wanted is None or claim.holder["action"] in ("delete", "refuse"):
        return differs(claim.value, {})
    missing = [name for name, value in of.wanted.metadata.items() if claim.value.get(name) != value]
    if missing or not claim.value.get("vssync_owner", "").startswith(f"v1;{case.wanted.owner};{of.wanted.key};"):
        return f"it lacks {missing or 'our mark'}"
    strange = claim.value.keys() - of.wanted.metadata.keys() - (of.live.metadata.keys() if of.live else set())
    strange -= {"vssync_owner", "vssync_protect"}
    return f"{strange} is neither wanted nor there" if strange else ""
