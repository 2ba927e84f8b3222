"""The environments that a pattern stands for: those that the manifest declares, and those that its patterns made live.

A pattern such as `pr-*` stands for names that nobody can list. Those in use are known by the marks of their stores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

from vssync.commands.session import Settings, load_manifest, open_session
from vssync.errors import ManifestError, Problem, Refused, UsageProblem
from vssync.manifest.environments import is_pattern, matching_keys, sample_of
from vssync.manifest.yaml_loader import parse_document
from vssync.model.state import LiveStore
from vssync.sources.load import find_manifest


def declared_environments(path: str) -> tuple[str, ...]:
    """The keys under `environments` of a manifest, in its order. Raises ManifestError where it cannot be read."""
    file = find_manifest(Path(path))
    try:
        tree = parse_document(file.read_text("utf-8-sig"), str(file)).tree
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError((Problem(str(file), 0, 0, f"cannot be read: {error}"),)) from None
    declared = tree.get("environments")
    return tuple(name for name in declared if isinstance(name, str)) if isinstance(declared, dict) else ()


def expand_environments(
    settings: Settings, pattern: str, *, named: bool = True, samples: bool = False, live: bool = False
) -> tuple[str, ...]:
    """The environments that a pattern stands for: those declared by name (if `named`), in the manifest's order.

    With `samples`, a name for each pattern of the manifest stands in its place; with `live`, the names with stores.
    Raises UsageProblem where there is none, unless the manifest declares just this pattern, and none of it is live.
    """
    declared, found = declared_environments(settings.manifest), list[str]()
    for key in declared:
        if not is_pattern(key):
            found += [key] if named else []
        elif live:
            found += sorted(live_environments(settings, key), key=lambda name: (len(name), name))
        elif samples:
            found.append(sample_of(key))
    matching = tuple(dict.fromkeys(name for name in found if fnmatchcase(name, pattern)))
    if not matching and not (live and pattern in declared):
        if pattern in declared:
            way_out = f"name one of the environments that it stands for, such as {sample_of(pattern)}"
            raise UsageProblem(f"--env {pattern}: is a pattern in the manifest, too; {way_out}")
        raise UsageProblem(f"--env {pattern}: {_nothing_matched(declared, live=live)}")
    return matching


def _nothing_matched(declared: tuple[str, ...], *, live: bool) -> str:
    if not declared:
        return "the manifest declares no environments; leave the option out"
    choices = f"declared here: {', '.join(declared)}"
    return f"matches no {'' if live else 'declared '}environment{' that has stores' if live else ''}; {choices}"


def live_environments(
    settings: Settings, key: str, others: set[str] | None = None
) -> Mapping[str, tuple[LiveStore, ...]]:
    """The environments that one pattern of the manifest stands for and that have stores at its service, by name.

    Adds the owners of all other stores to `others`. Raises Refused for a credential that may not list all stores: to
    it, they might all be gone.
    """
    declared = declared_environments(settings.manifest)
    settings = replace(settings, env=sample_of(key))
    loaded = load_manifest(settings, hashed=False)
    with open_session(settings, loaded) as session:
        stores = session.client.list_stores()
        if session.client.stores_denied:
            raise Refused(f"{key}: which environments exist is known only to a credential that may list all stores")
    owner, found = f"{loaded.manifest.owner_name}/", dict[str, tuple[LiveStore, ...]]()
    for store in stores:
        name = store.owner.removeprefix(owner)
        if store.owner.startswith(owner) and matching_keys(declared, name) == (key,):
            found[name] = (*found.get(name, ()), store)
        elif others is not None:
            others.add(store.owner)
    return found
