"""Guards: how much a plan may take away before a person must say that it is meant.

Pure, and part of planning, so that a reviewer sees a refusal before anybody applies. Each names its numbers and its
own way out; there is no way to switch all of them off at once.
"""

from __future__ import annotations

import shlex

from vssync.model.plan import Action, FileChange, Options, Plan, Reason, Refusal, StorePlan
from vssync.model.state import FileStatus, Limit

FEW = 10  # below that many files a share says nothing


def check_guards(plan: Plan) -> tuple[Refusal, ...]:
    """Why nothing of this plan may be written, store by store; nothing when it may."""
    return tuple(refusal for store in plan.stores for refusal in _check(store, plan))


def _check(store: StorePlan, plan: Plan) -> list[Refusal]:
    """A store that is deleted on purpose has said so with a flag of its own; its files are not counted again."""
    if store.change and Reason.PROTECTED in store.change.reasons:
        return [_protected(store, plan)]
    if not store.desired:
        return []
    return _deleted(store, plan) + _replaced(store, plan)


def _protected(store: StorePlan, plan: Plan) -> Refusal:
    return Refusal(
        f"{store.key}: the store is protected and would be deleted.",
        store.key,
        ("To let it go, apply it once with `protect: false`.", *_ways(store, plan)),
    )


def _deleted(store: StorePlan, plan: Plan) -> list[Refusal]:
    """Three things that look alike: too large a share, most keys leaving, nothing desired. One flag means them all."""
    assert store.desired
    limit = plan.options.max_delete or store.desired.guards.max_delete
    count = sum(Reason.NOT_IN_MANIFEST in change.reasons for change in store.files)
    emptied = store.wanted == 0 and count > 0
    leaving = store.owned >= FEW and count * 2 > store.owned
    over = _over(count, store, limit)
    if not over and (plan.options.max_delete or not (emptied or leaving)):
        return []
    hints = {
        "The manifest chooses no file for this store.": emptied,
        "Most of its keys leave: was another manifest of the same name applied to it?": leaving and not emptied,
        "A build or checkout that did not finish looks like this.": True,
    }
    said = tuple(hint for hint, holds in hints.items() if holds)
    message = f"{_numbers(count, store)} would be deleted ({_share(count, store, limit if over else None)})."
    return [Refusal(message, store.key, (*said, *_ways(store, plan, f"--max-delete {count}")))]


def _replaced(store: StorePlan, plan: Plan) -> list[Refusal]:
    assert store.desired
    limit = plan.options.max_replace or store.desired.guards.max_replace
    count = sum(_replaces(change) for change in store.files)
    if not _over(count, store, limit):
        return []
    message = f"{_numbers(count, store)} would be replaced ({_share(count, store, limit)})."
    return [Refusal(message, store.key, _ways(store, plan, f"--max-replace {count}"))]


def _replaces(change: FileChange) -> bool:
    """What works is taken away, and nobody asked for it by name."""
    works = any(copy.status is FileStatus.COMPLETED for copy in change.drop)
    return change.action is Action.REPLACE and works and Reason.REQUESTED not in change.reasons


def _over(count: int, store: StorePlan, limit: Limit) -> bool:
    if limit.count is not None:
        return count > limit.count
    return store.owned >= FEW and count > _exact(limit.share * store.owned)


def _exact(number: float) -> float:
    """A multiple of a written percentage, which a float may miss: 29% of 100 is not 28.999999999999996."""
    return round(number, 6)


def _numbers(count: int, store: StorePlan) -> str:
    return f"{store.key}: {count:,} of {store.owned:,} live files"


def _share(count: int, store: StorePlan, limit: Limit | None) -> str:
    """The share, with as many decimals as it takes to read as more than the limit."""
    share = 100 * count / store.owned if store.owned else 100.0
    if limit is None:
        return f"{share:.0f}%"
    if limit.count is not None:
        return f"{share:.0f}%, limit {_files(limit.count)}"
    most = _exact(100 * limit.share)
    shown = next((text for digits in range(6) if float(text := f"{share:.{digits}f}") > most), f"{share}")
    return f"{shown}%, limit {most:g}%"


def _files(count: int) -> str:
    return f"{count:,} {'file' if count == 1 else 'files'}"


def _ways(store: StorePlan, plan: Plan, flag: str = "") -> tuple[str, ...]:
    """The commands that go on, as they can be typed: the flag that says it is meant, the plan of the other stores."""
    key = store.key.partition("@")[0]  # of several stores of one key, none can be addressed alone
    named = {"Meant?": flag} if flag else {}
    if any(other.key.partition("@")[0] != key for other in plan.stores):
        named[f"Only {key}?"] = f"--exclude {key}"
    width = max([14, *(len(name) + 2 for name in named)])
    return tuple(f"{name:<{width}}{_command(plan.options)} {given}" for name, given in named.items())


def _command(options: Options) -> str:
    """The command that planned this, without what shaped it further."""
    manifest = f" -f {shlex.quote(options.manifest)}" if options.manifest not in ("", ".") else ""
    env = f" -e {shlex.quote(options.env)}" if options.env else ""
    variables = "".join(f" --var {shlex.quote(f'{name}={value}')}" for name, value in options.variables)
    return f"vssync plan{manifest}{env}{variables}"
