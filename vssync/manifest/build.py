"""From the trees of a manifest's files to one typed manifest for one environment.

check       the form of each file, against the schema
merge       included stores, the environment, `defaults`
expand      `${env}`, `${store}`, `${var.NAME}`
rules       what the schema cannot say
typed       frozen values

What is wrong in one store, entry or override does not hide what is wrong elsewhere: it is taken out, and the rest goes
on. What is wrong with the frame (environments, variables, includes, a field of the manifest itself) ends it at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from vssync.errors import ManifestError, Problem
from vssync.manifest import rules
from vssync.manifest.diagnostics import Diagnostic, TreePath, collect_with
from vssync.manifest.environments import Environment, Expander, in_force, resolve_environment, resolve_variables
from vssync.manifest.globs import compile_pattern
from vssync.manifest.merge import Tree, inherit
from vssync.manifest.placeholders import escape, literal
from vssync.manifest.rules import indeterminate_stores, without_invalid_parts
from vssync.manifest.schema import VERSION, check
from vssync.manifest.source_map import Documents, problems, problems_in
from vssync.manifest.spec import SKIP_REASONS, Entries, Entry, Layer, Manifest, Override, StoreSpec
from vssync.manifest.yaml_loader import Document
from vssync.model.state import AUTO, BatchLimits, Chunking, DesiredStore, Guards, Limit, ServiceSpec
from vssync.providers import PROVIDERS

SHORTEST: dict[str | int, int] = {"service": 1, "defaults": 2, "stores": 3}  # paths into parts that can be taken out


def check_document(document: Document, schema: Tree, part: str = "") -> Document:
    """The document with everything that is wrong with its form. `part` names a definition of the schema.

    Raises ManifestError where so much is wrong that nothing else can be checked.
    """
    faults = check(document.tree, schema, part)
    if not faults:
        return document
    problems = problems_in(document, faults)
    if not all(_inside(fault.path) for fault in faults):
        raise ManifestError(problems)
    return replace(document, problems=problems)


def _inside(path: TreePath) -> bool:
    """Whether a path leads into a store, `defaults` or `service`, whatever environment it is in."""
    within = path[2:] if path[:1] == ("environments",) else path
    return bool(within) and len(within) >= SHORTEST.get(within[0], len(within) + 1)


def includes(main: Document, env: str | None, given: Mapping[str, str]) -> tuple[tuple[TreePath, str], ...]:
    """The patterns of included files, with their paths. Raises ManifestError."""
    tree, scope = _in_scope(Documents(main), env, given)
    expander = Expander(scope)
    found = tuple(
        (("include", number), expander.text(pattern, ("include", number)))
        for number, pattern in enumerate(tree.get("include") or ())
    )
    _raise(Documents(main), expander.faults)
    return found


def build_manifest(documents: Documents, schema: Tree, env: str | None, given: Mapping[str, str]) -> Manifest:
    """The manifest for one environment, with its problems; `given` are variables from the command line.

    Raises ManifestError where so much is wrong that nothing else can be checked.
    """
    with collect_with(documents.problems):
        tree, scope = _in_scope(documents, env, given)
    documents = Documents(documents.main, documents.included, scope.environment)
    expander = Expander(scope)
    inherited = inherit(tree)
    whole = {
        "version": VERSION,
        "name": tree["name"],
        "root": escape(expander.text(tree.get("root") or ".", ("root",))),
        "service": tree.get("service") or {},
        "stores": expander.stores(inherited),
    }
    unfilled = tuple(expander.faults)
    again = documents.problems or unfilled or whole["stores"] != inherited
    misfit = check(whole, schema) if again else ()
    fit = without_invalid_parts(whole, _paths(unfilled, misfit))
    broken = rules.check(fit, scope)
    wrong = _joined(documents.problems, *(problems(documents, faults) for faults in (unfilled, misfit, broken)))
    unclear = indeterminate_stores(_paths(unfilled, misfit, broken))
    return _manifest(without_invalid_parts(fit, _paths(broken)), scope, documents, wrong, unclear)


def _paths(*groups: tuple[Diagnostic, ...]) -> tuple[TreePath, ...]:
    return tuple(fault.path for faults in groups for fault in faults)


def _joined(*groups: tuple[Problem, ...]) -> tuple[Problem, ...]:
    """All problems, without those at the place of one in an earlier group: they repeat it, or follow from it."""
    places: set[tuple[str, int, int]] = set()
    joined: list[Problem] = []
    for group in groups:
        new = [problem for problem in group if (problem.file, problem.line, problem.column) not in places]
        places.update((problem.file, problem.line, problem.column) for problem in new)
        joined += new
    return tuple(joined)


def _raise(documents: Documents, faults: tuple[Diagnostic, ...] | list[Diagnostic]) -> None:
    if faults:
        raise ManifestError(problems(documents, faults))


def _in_scope(documents: Documents, env: str | None, given: Mapping[str, str]) -> tuple[dict[str, Any], Environment]:
    """The merged manifest before anything is filled in, and what will be. Raises ManifestError."""
    base = dict(documents.main.tree)
    base["stores"] = _all_stores(documents)
    declared, faults = resolve_environment(base, env)
    _raise(documents, faults)
    tree = in_force(base, declared)
    documents = Documents(documents.main, documents.included, declared)
    values, faults = resolve_variables(tree, given, env or "")
    _raise(documents, faults)
    return tree, Environment(env or "", declared, tuple(base.get("environments") or ()), values)


def _all_stores(documents: Documents) -> dict[str, Any]:
    stores = dict(documents.main.tree.get("stores") or {})
    owners = dict.fromkeys(stores, documents.main)
    for document in documents.included:
        twice = [key for key in document.tree["stores"] or () if key in owners]
        if twice:
            faults = [
                Diagnostic(("stores", key), f"the store `{key}` is also declared in {owners[key].file}", at_name=True)
                for key in twice
            ]
            raise ManifestError(problems_in(document, faults))
        stores.update(document.tree["stores"] or {})
        owners.update(dict.fromkeys(document.tree["stores"] or (), document))
    return stores


def _manifest(
    tree: Tree, scope: Environment, documents: Documents, wrong: tuple[Problem, ...], unclear: Collection[str]
) -> Manifest:
    service = _service(tree["service"])
    stores = (_store(key, store, service.provider, scope.env) for key, store in tree["stores"].items())
    return Manifest(
        name=tree["name"],
        env=scope.env,
        root=literal(tree["root"]),
        service=service,
        stores=tuple(
            replace(store, doubtful=True, skip=SKIP_REASONS, extensions=None)
            if store.settings.key in unclear
            else store
            for store in sorted(stores, key=lambda store: store.settings.key)
        ),
        tree=tree,
        documents=documents,
        problems=wrong,
    )


def _service(tree: Tree) -> ServiceSpec:
    return ServiceSpec(**{name: value for name, value in tree.items() if value is not None})


def _store(key: str, tree: Tree, provider: str, env: str) -> StoreSpec:
    path: TreePath = ("stores", key)
    extensions = tree.get("extensions")
    entries = enumerate(tree.get("files") or ())
    return StoreSpec(
        settings=_settings(key, tree),
        layer=_layer(path, tree),
        entries=Entries(_entry((*path, "files", at), entry) for at, entry in entries if applies_in(entry, env)),
        overrides=tuple(
            Override(
                _layer((*path, "overrides", at), override), compile_pattern(literal(override["match"]), everything=True)
            )
            for at, override in enumerate(tree.get("overrides") or ())
        ),
        skip=frozenset(tree.get("skip") or ()),
        extensions=frozenset(extensions) if extensions else PROVIDERS[provider].extensions,
    )


def _settings(key: str, tree: Tree) -> DesiredStore:
    expiry = tree.get("expires_after")
    prune = tree.get("prune")
    return DesiredStore(
        key=key,
        name=literal(tree.get("name") or key),
        description=literal(tree.get("description") or ""),
        metadata={name: literal(value) for name, value in (tree.get("metadata") or {}).items() if value is not None},
        expires_after_days=int(expiry["days"]) if expiry else None,
        prune=prune is not False,
        protect=bool(tree.get("protect")),
        external=bool(tree.get("external")),
        id=literal(tree.get("id") or ""),
        was=tuple(tree.get("was") or ()),
        batch=BatchLimits(**{name: int(value) for name, value in (tree.get("batch") or {}).items() if value}),
        guards=Guards(
            **{name: _limit(value) for name, value in (tree.get("guards") or {}).items() if value is not None}
        ),
        ignore_attributes=tuple(map(literal, tree.get("ignore_attributes") or ())),
    )


def _limit(value: str | int) -> Limit:
    return Limit(share=float(value[:-1]) / 100) if isinstance(value, str) else Limit(count=int(value))


def applies_in(entry: Tree, env: str) -> bool:
    """Whether an entry belongs to this environment."""
    only, excluded = entry.get("only"), entry.get("not") or ()
    fits = only is None or any(fnmatchcase(env, name) for name in only)
    return fits and not any(fnmatchcase(env, name) for name in excluded)


def _entry(path: TreePath, tree: Tree) -> Entry:
    return Entry(
        layer=_layer(path, tree),
        pattern=compile_pattern(literal(tree["path"])) if "path" in tree else None,
        exclude=tuple(compile_pattern(literal(pattern), everything=True) for pattern in tree.get("exclude") or ()),
        optional=bool(tree.get("optional")),
        file_id=literal(tree.get("file_id") or ""),
        key=tree.get("key") or "",
    )


def _layer(path: TreePath, tree: Tree) -> Layer:
    return Layer(
        path=path,
        attributes=tree.get("attributes") or {},
        chunking=_chunking(tree.get("chunking")),
        filename=tree.get("filename"),
        front_matter=tuple(map(literal, tree.get("front_matter") or ())),
    )


def _chunking(tree: Any) -> Chunking | None:
    if tree is None:
        return None
    if tree == "auto":
        return AUTO
    return Chunking(int(tree["max_chunk_size_tokens"]), int(tree["chunk_overlap_tokens"]))
