"""The chosen environment, the values of variables, and what a store inherits from `defaults`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from vssync.manifest.diagnostics import Diagnostic, did_you_mean
from vssync.manifest.placeholders import (
    Placeholder,
    UnclosedPlaceholder,
    parse_template,
    unclosed_diagnostic,
    unknown_placeholder,
)
from vssync.manifest.scalars import NonCanonical, is_finite, parse_number, plain_number
from vssync.manifest.schema import LABEL_PATTERN
from vssync.manifest.yaml_loader import Tree, TreePath
from vssync.model.state import Scalar

NEVER_INHERITED = ("id", "was", "adopt", "external", "removed")  # fields of one store, never of several
# Fields that say which live store is meant; the only ones a `removed` store may have besides `removed`.
IDENTIFYING_FIELDS = ("name", "id", "external", "was")


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment in force and the values of its variables. Name and key are empty if none is declared."""

    name: str = ""
    key: str = ""  # under `environments`: its name, or the pattern (`pr-*`) that its name matches
    declared_keys: tuple[str, ...] = ()  # of all environments
    variables: Mapping[str, Scalar] = field(default_factory=dict)

    @property
    def placeholders(self) -> dict[str, Scalar]:
        """The values of the placeholders that are the same for all stores and files, by name (`env`, `var.lang`)."""
        values: dict[str, Scalar] = {f"var.{name}": value for name, value in self.variables.items()}
        return {**values, "env": self.name} if self.name else values


def applies_in(entry: Tree, env: str) -> bool:
    """Whether an entry of a store's `files` belongs to this environment."""
    only = entry.get("only")
    if only is None:
        return True
    excluded = [name[1:] for name in only if name.startswith("!")]
    included = [name for name in only if not name.startswith("!")] or (["*"] if excluded else [])
    return any(fnmatchcase(env, name) for name in included) and not any(fnmatchcase(env, name) for name in excluded)


def is_pattern(name: str) -> bool:
    """Whether a key under `environments` stands for all names that it matches."""
    return not {"*", "?"}.isdisjoint(name)


def matching_keys(declared: Iterable[str], env: str) -> tuple[str, ...]:
    """The keys under `environments` that stand for an environment: its own name, else the patterns that match it."""
    declared = tuple(declared)
    return (env,) if env in declared else tuple(key for key in declared if fnmatchcase(env, key))


def sample_of(pattern: str) -> str:
    """A name that a pattern stands for, to load the manifest with."""
    return pattern.replace("*", "0").replace("?", "0")


def resolve_environment(tree: Tree, env: str | None) -> tuple[str, tuple[Diagnostic, ...]]:
    """The key under `environments` that `env` matches, or the problem. Empty if none is declared and none chosen."""
    declared = tuple(tree.get("environments") or ())
    choices = f"declared here: {', '.join(declared)}"
    if not (declared or env):
        return "", ()
    if not declared:
        message = f"there is no environment `{env}`: the manifest declares none"
        hint = "choose none, or declare it under `environments`"
    elif not env:
        message, hint = "the manifest has environments, and none was chosen", f"give --env; {choices}"
    elif not LABEL_PATTERN.fullmatch(env):
        message = f"`{env}` cannot be the name of an environment"
        patterns = "; `plan`, `status`, `validate` and `destroy` take a pattern" if is_pattern(env) else ""
        hint = f"letters, digits, `.`, `-`, `_`; at most 64{patterns}"
    else:
        matching = matching_keys(declared, env)
        if len(matching) == 1:
            return matching[0], ()
        if matching:
            message = f"the environment `{env}` matches {' and '.join(f'`{name}`' for name in matching)}"
            hint = "declare it by name, or make the patterns narrower"
        else:
            message, hint = f"there is no environment `{env}`", did_you_mean(env, declared) or choices
    return "", (Diagnostic(("environments",), message, hint, at_name=True),)


def resolve_variables(
    tree: Tree, assignments: Mapping[str, str], env: str
) -> tuple[dict[str, Scalar], tuple[Diagnostic, ...]]:
    """The value of every variable of a merged manifest, and the problems; `assignments` come from the command line."""
    declarations = {
        name: value if isinstance(value, dict) else {"default": value}  # a plain value is the default
        for name, value in (tree.get("variables") or {}).items()
    }
    variables: dict[str, Scalar] = {}
    diagnostics = [
        Diagnostic(("variables",), f"the variable `{name}` is given but not declared", did_you_mean(name, declarations))
        for name in assignments
        if name not in declarations
    ]
    for name, declaration in declarations.items():
        if name in assignments:
            value = _parse_assignment(name, assignments[name], declaration)
        else:
            value = _default_value(name, declaration, env)
        if isinstance(value, Diagnostic):
            diagnostics.append(value)
        else:
            variables[name] = value
    return variables, tuple(diagnostics)


def _declared_type(declaration: Mapping[str, Any]) -> str:
    """The type that a declaration names; else the type of its default."""
    return str(declaration.get("type") or _type_of(declaration.get("default")))


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _parse_assignment(name: str, text: str, declaration: Mapping[str, Any]) -> Scalar | Diagnostic:
    path = ("variables", name)
    if text != text.encode("utf-8", "ignore").decode():  # surrogates stand for other bytes
        return Diagnostic(path, f"the value given for the variable `{name}` is not UTF-8 text", at_name=True)
    kind = _declared_type(declaration)
    if kind == "string":
        return text
    value = {"true": True, "false": False}.get(text) if kind == "boolean" else parse_number(text)
    if isinstance(value, NonCanonical):
        plain, hint = plain_number(value), "declare `type: string` for the text"
        if not is_finite(plain):
            return Diagnostic(path, f"the variable `{name}` is not a finite number: {text}", hint, at_name=True)
        message = f"the variable `{name}` would not be kept as given: {text} is {plain}"
        return Diagnostic(path, message, f"give {plain} for the number, or {hint}", at_name=True)
    if value is None:
        wanted = "true or false" if kind == "boolean" else "a number"
        return Diagnostic(path, f"the variable `{name}` must be {wanted}, not `{text}`", at_name=True)
    return value


def _default_value(name: str, declaration: Mapping[str, Any], env: str) -> Scalar | Diagnostic:
    value: Scalar | None = declaration.get("default")
    path = ("variables", name)
    if value is None:
        description = declaration.get("description")
        hint = f"give --var {name}=..." + (f" ({description})" if description else "")
        return Diagnostic(path, f"the variable `{name}` has no value", hint, at_name=True)
    kind = _declared_type(declaration)
    if _type_of(value) != kind:
        return Diagnostic(path, f"the default of the variable `{name}` is not a {kind}")
    if not isinstance(value, str):
        return value
    try:
        template = parse_template(value)
    except UnclosedPlaceholder:
        return unclosed_diagnostic(path)
    for used in (part.name for part in template if isinstance(part, Placeholder)):
        if used != "env":  # no other variables, so that their order does not matter
            return Diagnostic(path, f"`${{{used}}}` cannot be used in a variable's default", "only `${env}` can")
        if not env:
            return unknown_placeholder("env", path, ())
    return "".join(part if isinstance(part, str) else env for part in template)


def merge_trees(base: Tree, change: Tree, parent: TreePath = ()) -> dict[str, Any]:
    """The base with the change merged into it: mappings are merged, `null` removes, and any other value replaces.

    `service`, `chunking` and each attribute are replaced as a whole. A store with `removed` in the change keeps only
    the IDENTIFYING_FIELDS of the base. `parent` is the path of both trees in the manifest.
    """
    result = dict(base)
    for name, value in change.items():
        path = (*parent, name)
        # A null in `attributes` or `formats` stays: it cancels an outer layer's attribute, or refuses an extension.
        if value is None and _field_at(parent) not in ("attributes", "formats"):
            result.pop(name, None)
        elif isinstance(value, Mapping):
            old = result.get(name)
            is_replaced = _field_at(path) in ("service", "chunking") or _field_at(parent) == "attributes"
            if is_replaced or not isinstance(old, Mapping):
                old = {}
            elif parent == ("stores",) and value.get("removed"):
                old = {inner: kept for inner, kept in old.items() if inner in IDENTIFYING_FIELDS}
            result[name] = merge_trees(old, value, path)  # also where nothing is merged, since it drops nulls
        else:
            result[name] = value
    return result


def _field_at(path: TreePath) -> str | int:
    """The field of a store, of `defaults` or of the manifest that a path leads to; empty if it ends elsewhere."""
    if path[:1] == ("stores",) and len(path) == 3:
        return path[2]
    if path[:1] == ("defaults",) and len(path) == 2:
        return path[1]
    return path[0] if len(path) == 1 else ""


def apply_defaults(tree: Tree, included_defaults: Mapping[str, Tree]) -> dict[str, dict[str, Any]]:
    """Every store of a merged manifest, merged into the `defaults` that it inherits.

    `included_defaults`: store key -> `defaults` of the included file that declares it; they win over the main file's.
    """
    stores: dict[str, dict[str, Any]] = {}
    for key, store in (tree.get("stores") or {}).items():
        path = ("stores", key)
        is_removed = bool(store and store.get("removed"))
        inherited: dict[str, Any] = {}
        for defaults in (tree.get("defaults") or {}, included_defaults.get(key) or {}):
            fields = {
                name: value
                for name, value in defaults.items()
                if name not in NEVER_INHERITED and (name == "name" or not is_removed)
            }
            inherited = merge_trees(inherited, fields, path)
        stores[key] = merge_trees(inherited, store or {}, path)
    return stores
