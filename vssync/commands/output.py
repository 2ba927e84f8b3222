"""What applications and reviewers take from a plan: each store's id, live name and content digest.

The id is what an application searches; equal digests say that two environments want the same knowledge base, and
`current` that the live store is just that. A store that nobody can search yet is an error, never an empty id: an
application would start with it. Values in, a string out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from shlex import quote

from vssync.document import document
from vssync.errors import VssyncError
from vssync.model.plan import Action, Plan, StorePlan
from vssync.render import wording
from vssync.text import escape_ci_commands, escape_control

_UNUSABLE = {
    Action.CREATE: "does not exist yet; run `vssync apply` first",
    Action.REPLACE: "is expired; run `vssync apply --allow-store-replace` first, which changes its id",
    Action.REFUSE: "is not managed by this manifest; `vssync plan` says why",
}


@dataclass(frozen=True, slots=True)
class StoreOutput:
    """A store that can be searched. `current`: it holds what the manifest says, and nothing is under way."""

    key: str
    id: str
    name: str
    files: int
    digest: str
    current: bool


def store_outputs(plan: Plan) -> tuple[StoreOutput, ...]:
    """The stores of the manifest that a plan looked at.

    Raises VssyncError for one that cannot be searched.
    """
    return tuple(_known(store) for store in plan.stores if store.desired)


def _known(store: StorePlan) -> StoreOutput:
    action = store.change.action if store.change else None
    if action in _UNUSABLE or not store.id:
        raise VssyncError(f"{store.key}: the store {_UNUSABLE[action or Action.CREATE]}")
    current = not (store.change or store.files or store.batches)
    return StoreOutput(store.key, store.id, store.name, store.wanted, store.digest, current)


def output_text(plan: Plan) -> str:
    """A block for each store."""
    blocks = [[wording.heading_line(plan.owner, plan.service)], *([*_lines(store)] for store in store_outputs(plan))]
    return escape_ci_commands("\n\n".join("\n".join(block) for block in blocks))


def _lines(store: StoreOutput) -> Iterator[str]:
    state = "matches the manifest" if store.current else "differs from the manifest; see `vssync plan`"
    yield escape_control(store.key)
    yield f"  id      {escape_control(store.id)}"
    yield f"  name    {escape_control(store.name)}"
    yield f"  files   {store.files:,}"
    yield f"  digest  {store.digest}"
    yield f"  state   {state}"


def output_json(plan: Plan) -> str:
    """The same for a program, by store key."""
    stores = {
        store.key: {name: value for name, value in asdict(store).items() if name != "key"}
        for store in store_outputs(plan)
    }
    return document("output", owner=plan.owner, provider=plan.service.provider, stores=stores)


def output_id(plan: Plan) -> str:
    """The ids alone, a line each, in the order of the store keys."""
    return "\n".join(escape_control(store.id) for store in store_outputs(plan))


def output_dotenv(plan: Plan) -> str:
    """`VECTOR_STORE_<KEY>_ID=...` and its like, for a shell or a dotenv file."""
    return _assignments(plan, lambda key, part: f"VECTOR_STORE_{key}_{part}".upper(), _quoted)


def _quoted(text: str) -> str:
    """A value for a shell, written as readers of dotenv files take it, too, but where no one way suits both."""
    return f'"{text}"' if "'" in text and not re.search(r'[\\"$`!]', text) else quote(text)


def output_github(plan: Plan) -> str:
    """`<key>_id=...` and its like, to append to $GITHUB_OUTPUT."""
    return _assignments(plan, lambda key, part: f"{key}_{part}", str)


def _assignments(plan: Plan, name: Callable[[str, str], str], value: Callable[[str], str]) -> str:
    """One line each; `clean` leaves no value a line break to begin another with.

    Raises VssyncError for two stores that would share names.
    """
    owners: dict[str, str] = {}
    lines = []
    for store in store_outputs(plan):
        key = re.sub(r"[^A-Za-z0-9_]", "_", store.key)
        if (other := owners.setdefault(key.casefold(), store.key)) != store.key:
            raise VssyncError(f"{other} and {store.key}: both would be called {key} here; use --format json")
        parts: Mapping[str, str] = {"id": store.id, "name": store.name, "digest": store.digest}
        lines += [f"{name(key, part)}={value(escape_control(text))}" for part, text in parts.items()]
    return "\n".join(lines)
