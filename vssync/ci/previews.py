"""Previews: a request's own environment, `pr-N`, of each manifest that declares a pattern for it, such as `pr-*`.

A preview is made and deleted without asking anybody. So it may have nothing but what it made itself, and only a
pattern, which stands for environments that come and go, can make one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain

from vssync.errors import Refused
from vssync.manifest.environments import is_pattern, matching_keys
from vssync.model.marks import STORE_APPLIED, parse_stamp
from vssync.model.plan import Options
from vssync.model.state import Desired, Limit, LiveStore

_NAME = re.compile(r"pr-([1-9][0-9]{0,9})")
# Fields of a store by which it would be one that others made or use, or could not be deleted.
_FORBIDDEN = {
    "id": "would be a store that is there already",
    "external": "would be a store that is there already",
    "adopt": "would take over what is there already",
    "protect": "could not be deleted",
}
# What a request does to its own preview needs no guard: nobody else uses it.
PREVIEW_OPTIONS = Options(
    allow_store_deletes=True,
    allow_store_replace=True,
    max_delete=Limit(share=1.0),
    max_replace=Limit(share=1.0),
)


def preview_name(number: int) -> str:
    """The environment of a request."""
    return f"pr-{number}"


def preview_number(name: str) -> int:
    """The request whose preview an environment is; 0 for any other."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else 0


def preview_key(declared: Iterable[str], name: str) -> str:
    """The pattern under `environments` that a preview comes from; empty where the manifest wants none.

    Raises Refused where an environment is declared by just this name: it is nobody's preview.
    """
    keys = matching_keys(declared, name)
    if keys and not is_pattern(keys[0]):
        raise Refused(f"{name}: is declared by its name, so it is not a preview; declare a pattern such as `pr-*`")
    return keys[0] if keys else ""


def as_preview(desired: Desired, key: str) -> Desired:
    """What a preview is to hold. The stores to remove are those of others: its own go when they are not declared.

    Raises Refused where it would be, or take, anything that it did not make.
    """
    problems = list(chain.from_iterable(_problems(desired, key)))
    if problems:
        raise Refused("\n".join(problems))
    return replace(desired, removed=())


def _problems(desired: Desired, key: str) -> Iterator[Iterator[str]]:
    for store in desired.stores:
        yield (
            f"{store.key}: with `{name}`, its preview {problem}; take that back under `environments`: "
            f"`{key}: {{stores: {{{store.key}: {{{name}: {'null' if name == 'id' else 'false'}}}}}}}`"
            for name, problem in _FORBIDDEN.items()
            if getattr(store, name)
        )


def last_applied(stores: Iterable[LiveStore]) -> datetime:
    """When a preview was last applied as a whole, or at least made, by its stores."""
    times = [datetime.fromtimestamp(store.created_at, UTC) for store in stores]
    stamps = (parse_stamp(store.metadata.get(STORE_APPLIED, "")) for store in stores)
    times += (datetime.fromisoformat(stamp.time) for stamp in stamps if stamp)
    return max(times)


def why_swept(stores: Iterable[LiveStore], now: datetime, max_age: timedelta, *, is_open: bool | None) -> str:
    """Why a preview goes; empty where it stays. `is_open` is None where the forge did not say."""
    if is_open is False:
        return "its request is closed"
    if now - last_applied(stores) > max_age:
        return f"it was not applied for {max_age.days} days"
    return ""
