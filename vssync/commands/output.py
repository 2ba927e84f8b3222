"""What applications and reviewers need from a plan: each store's id, name and content digests.

A store that cannot be searched is an error, never an empty id, with which an application would start; the others are
given all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from shlex import quote

from vssync.commands.plan import read_live
from vssync.commands.session import Session
from vssync.document import document
from vssync.errors import VssyncError
from vssync.model.convergence import find_convergence
from vssync.model.plan import Action, Options, Plan
from vssync.planner.assemble import make_plan
from vssync.planner.content_digest import UNKNOWN
from vssync.planner.guards import plan_command
from vssync.render import wording
from vssync.text import escape_ci_commands, escape_control


@dataclass(frozen=True, slots=True)
class StoreOutput:
    """A store that can be searched. `files`: those of the manifest. `current`: all in it is as the manifest says.

    Equal digests are of the same files, attributes and chunking; the live one is "unknown" where a file is not
    completed or was never compared.
    """

    key: str
    id: str
    name: str
    files: int
    live_digest: str
    desired_digest: str
    current: bool


def plan_stores(session: Session, options: Options) -> Plan:
    """The plan of the stores themselves, for which no file is read."""
    session = replace(session, loaded=session.loaded.without_files)
    return make_plan(session.loaded.desired, read_live(session, options), options, session.capabilities)


def store_outputs(plan: Plan) -> tuple[StoreOutput, ...]:
    """The declared stores of a plan that can be searched. Raises VssyncError where none of them can."""
    problems, as_declared = unusable_stores(plan), find_convergence(plan).as_declared
    usable = [store for store in plan.stores if store.managed and store.key not in problems]
    if problems and not usable:
        raise VssyncError("\n".join(problems.values()))
    return tuple(
        StoreOutput(
            store.key, store.id, store.name, store.wanted, store.live_digest, store.digest, store.key in as_declared
        )
        for store in usable
    )


def unusable_stores(plan: Plan) -> dict[str, str]:
    """Why declared stores of a plan cannot be searched, or need attention before they are, by key."""
    problems = {}
    apply, replacing = (
        plan_command(replace(plan.options, targets=(), allow_store_replace=allowed), "apply")
        for allowed in (False, True)
    )
    unusable = {
        Action.CREATE: f"does not exist yet; run `{apply}` first",
        Action.REPLACE: f"is expired; run `{replacing}` first, which changes its id",
    }
    for store in filter(lambda store: store.managed, plan.stores):
        action = store.change.action if store.change else None
        if store.change and action is Action.REFUSE:
            problems[store.key] = f"{store.key}: the store needs attention: {store.change.detail}"
        elif action in unusable or not store.id:
            problems[store.key] = f"{store.key}: the store {unusable[action or Action.CREATE]}"
    return problems


def output_text(plan: Plan) -> str:
    blocks = [wording.heading_line(plan.owner, plan.service)]
    blocks += ["\n".join(_store_lines(store)) for store in store_outputs(plan)]
    return escape_ci_commands("\n\n".join(blocks))


def _store_lines(store: StoreOutput) -> Iterator[str]:
    state = "matches the manifest" if store.current else "differs from the manifest; see `vssync plan`"
    state += ", as far as is known" if store.current and store.live_digest == UNKNOWN else ""
    yield escape_control(store.key)
    yield f"  id      {escape_control(store.id)}"
    yield f"  name    {escape_control(store.name)}"
    yield f"  files   {store.files:,} in the manifest"
    yield f"  digest  {store.live_digest}"
    if store.desired_digest != store.live_digest:
        yield f"  wanted  {store.desired_digest}"
    yield f"  state   {state}"


def output_json(plan: Plan) -> str:
    stores = {
        store.key: {name: value for name, value in asdict(store).items() if name != "key"}
        for store in store_outputs(plan)
    }
    problems = unusable_stores(plan)
    return document("output", owner=plan.owner, provider=plan.service.provider, stores=stores, problems=problems)


def output_id(plan: Plan) -> str:
    """The ids alone, a line each, in the order of the store keys."""
    return "\n".join(escape_control(store.id) for store in store_outputs(plan))


def output_dotenv(plan: Plan) -> str:
    """`VECTOR_STORE_<KEY>_ID=...`, `_NAME` and `_DIGEST`, for a shell or a dotenv file."""
    return _assignments(plan, lambda key, part: f"VECTOR_STORE_{key}_{part}".upper(), _quote)


def _quote(text: str) -> str:
    """A value for a shell, in a form that readers of dotenv files understand too, where there is one."""
    return f'"{text}"' if "'" in text and not re.search(r'[\\"$`!]', text) else quote(text)


def output_github(plan: Plan) -> str:
    """`<key>_id=...`, `_name` and `_digest`, to append to $GITHUB_OUTPUT."""
    return _assignments(plan, lambda key, part: f"{key}_{part}", str)


def _assignments(plan: Plan, make_name: Callable[[str, str], str], quote_value: Callable[[str], str]) -> str:
    """One line each: no value has a line break with which another could begin.

    Raises VssyncError for two stores that would share names.
    """
    store_keys: dict[str, str] = {}
    lines = []
    for store in store_outputs(plan):
        key = re.sub(r"[^A-Za-z0-9_]", "_", store.key)
        if (other := store_keys.setdefault(key.casefold(), store.key)) != store.key:
            raise VssyncError(f"{other} and {store.key}: both become {key} in this format; use --format json")
        parts: Mapping[str, str] = {"id": store.id, "name": store.name, "digest": store.live_digest}
        lines += [f"{make_name(key, part)}={quote_value(escape_control(text))}" for part, text in parts.items()]
    return "\n".join(lines)
