"""Which environment is meant, and what the variables stand for: decided once, before anything is filled in."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from vssync.manifest.diagnostics import Diagnostic, TreePath, did_you_mean
from vssync.manifest.merge import Tree, merge_trees
from vssync.manifest.placeholders import (
    AmbiguousDollar,
    Placeholder,
    Template,
    UnclosedPlaceholder,
    format_template,
    parse_template,
)
from vssync.manifest.schema import LABEL_PATTERN
from vssync.manifest.yaml_loader import NonCanonicalFloat, NonCanonicalInt, parse_number
from vssync.model.state import Scalar


@dataclass(frozen=True, slots=True)
class Environment:
    """The environment by its name and as declared (`pr-12`, `pr-*`), both empty for none, and all variables."""

    env: str = ""
    environment: str = ""
    environments: tuple[str, ...] = ()
    variables: Mapping[str, Scalar] = field(default_factory=dict)


def resolve_environment(tree: Tree, env: str | None) -> tuple[str, tuple[Diagnostic, ...]]:
    """The declared name or pattern that an environment's name fits, empty for none."""
    declared = tuple(tree.get("environments") or ())
    if not declared:
        return "", (
            _fault(f"no environments are declared, so `{env}` is none of them", "leave --env out"),
        ) if env else ()
    known = f"known here: {', '.join(declared)}"
    if not env:
        return "", (_fault("the manifest has environments, and none was chosen", f"give --env; {known}"),)
    if not LABEL_PATTERN.fullmatch(env):
        return "", (_fault(f"the environment `{env}` is not a name", "letters, digits, `.`, `-`, `_`; at most 64"),)
    if env in declared:
        return env, ()
    fitting = tuple(name for name in declared if fnmatchcase(env, name))
    if len(fitting) == 1:
        return fitting[0], ()
    if fitting:
        message = f"the environment `{env}` fits {' and '.join(f'`{name}`' for name in fitting)}"
        return "", (_fault(message, "declare it by name, or make the patterns narrower"),)
    return "", (_fault(f"there is no environment `{env}`", did_you_mean(env, declared) or known),)


def _fault(message: str, hint: str) -> Diagnostic:
    return Diagnostic(("environments",), message, hint, at_name=True)


def apply_environment(tree: Tree, declared: str) -> dict[str, Any]:
    """The manifest with its environment laid over it."""
    change = (tree.get("environments") or {}).get(declared) if declared else None
    return merge_trees(tree, change or {})


def resolve_variables(
    tree: Tree, given: Mapping[str, str], env: str
) -> tuple[dict[str, Scalar], tuple[Diagnostic, ...]]:
    """The value of every variable of a merged manifest; `given` are texts from the command line."""
    declared = {name: _declaration(value) for name, value in (tree.get("variables") or {}).items()}
    found: dict[str, Scalar] = {}
    faults = [
        Diagnostic(("variables",), f"the variable `{name}` is given and not declared", did_you_mean(name, declared))
        for name in given
        if name not in declared
    ]
    for name, declaration in declared.items():
        value = _given(name, given[name], declaration) if name in given else _default(name, declaration, env)
        if isinstance(value, Diagnostic):
            faults.append(value)
        else:
            found[name] = value
    return found, tuple(faults)


def _declaration(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {} if value is None else {"default": value}


def _type(declaration: Mapping[str, Any]) -> str:
    return str(declaration.get("type") or _type_of(declaration.get("default")))


def _type_of(value: object) -> str:
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else "string"


def _given(name: str, text: str, declaration: Mapping[str, Any]) -> Scalar | Diagnostic:
    kind = _type(declaration)
    value: Scalar | None = text
    if text != text.encode("utf-8", "ignore").decode():
        return Diagnostic(
            ("variables", name), f"the value given for the variable `{name}` is not UTF-8 text", at_name=True
        )
    if kind == "boolean":
        value = {"true": True, "false": False}.get(text)
    elif kind == "number":
        value = parse_number(text)
        value = None if isinstance(value, NonCanonicalInt | NonCanonicalFloat) else value
    if value is None:
        wanted = "true or false" if kind == "boolean" else "a number"
        return Diagnostic(("variables", name), f"the variable `{name}` must be {wanted}, not `{text}`", at_name=True)
    return value


def _default(name: str, declaration: Mapping[str, Any], env: str) -> Scalar | Diagnostic:
    value: Scalar | None = declaration.get("default")
    path = ("variables", name)
    if value is None:
        about = declaration.get("description")
        hint = f"give --var {name}=..." + (f" ({about})" if about else "")
        return Diagnostic(path, f"the variable `{name}` has no value", hint, at_name=True)
    kind = _type(declaration)
    if _type_of(value) != kind:
        return Diagnostic(path, f"the default of the variable `{name}` is not a {kind}")
    return _with_env(path, value, env) if isinstance(value, str) else value


def _with_env(path: tuple[str, ...], text: str, env: str) -> str | Diagnostic:
    """A default may say `${env}` and nothing else, so that there is no order among variables."""
    try:
        parts = parse_template(text)
    except UnclosedPlaceholder:
        return Diagnostic(path, "a placeholder `${` is not closed", "write `$${` for the text `${`")
    for part in parts:
        if isinstance(part, Placeholder) and (part.text != "env" or not env):
            return Diagnostic(path, f"`${{{part.text}}}` means nothing in a variable's default", "only `${env}` does")
    return "".join(part if isinstance(part, str) else env for part in parts)


FILE_PLACEHOLDERS = ("path", "dir", "dir.0", "name", "stem", "ext")
FOLDER_PLACEHOLDER = re.compile(r"dir\.[0-9]{1,2}")  # the folders of a path, counted from 0
ENVIRONMENT_FIELDS = ("only", "not")  # names of environments


class Expander:
    """Expands the strings of one manifest and keeps the faults it meets."""

    def __init__(self, scope: Environment) -> None:
        self.scope = scope
        self.faults: list[Diagnostic] = []

    def stores(self, stores: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """All stores, expanded."""
        return {key: self._tree(store, ("stores", key), self.known(key)) for key, store in stores.items()}

    def known(self, store: str = "") -> dict[str, Scalar]:
        """What the names stand for that are known before any file is."""
        values: dict[str, Scalar] = {f"var.{name}": value for name, value in self.scope.variables.items()}
        if self.scope.env:
            values["env"] = self.scope.env
        if store:
            values["store"] = store
        return values

    def text(self, text: str, path: TreePath) -> str:
        """A string outside the stores, with nothing left to fill in."""
        return "".join(part for part in self._known(text, path, self.known(), ()) if isinstance(part, str))

    def _tree(self, value: Any, path: TreePath, known: Mapping[str, Scalar]) -> Any:
        if isinstance(value, str):
            return self._value(value, path, known) if "${" in value else value
        if isinstance(value, dict):
            return {
                name: under
                if name in ENVIRONMENT_FIELDS and len(path) == 4
                else self._tree(under, (*path, name), known)
                for name, under in value.items()
            }
        if isinstance(value, list):
            return [self._tree(under, (*path, number), known) for number, under in enumerate(value)]
        return value

    def _value(self, text: str, path: TreePath, known: Mapping[str, Scalar]) -> Scalar:
        field = containing_field(path)
        if field == "attributes" and (whole := _whole(text)) in known:
            value = known[whole]
            return value if not isinstance(value, str) else format_template((value,))
        parts = self._known(text, path, known, file_placeholders(field))
        try:
            return format_template(parts)
        except AmbiguousDollar:
            self.faults.append(
                Diagnostic(path, "a value that ends in `$` stands before a placeholder", "put something between")
            )
            return ""

    def _known(self, text: str, path: TreePath, known: Mapping[str, Scalar], later: Collection[str]) -> Template:
        try:
            parts = parse_template(text)
        except UnclosedPlaceholder:
            self.faults.append(Diagnostic(path, "a placeholder `${` is not closed", "write `$${` for the text `${`"))
            return ()
        return tuple(part if isinstance(part, str) else self._name(part, path, known, later) for part in parts)

    def _name(
        self, name: Placeholder, path: TreePath, known: Mapping[str, Scalar], later: Collection[str]
    ) -> str | Placeholder:
        if name.text in known:
            return _text(known[name.text])
        if name.text in later or (later and FOLDER_PLACEHOLDER.fullmatch(name.text)):
            return name
        self.faults.append(self._unknown(name.text, path, [*known, *later]))
        return ""

    def _unknown(self, name: str, path: TreePath, known: Collection[str]) -> Diagnostic:
        shown = f"`${{{name}}}`"
        if name == "env":
            return Diagnostic(path, f"{shown} has no value: the manifest has no environments", "declare `environments`")
        if name in (*FILE_PLACEHOLDERS, "digest") or FOLDER_PLACEHOLDER.fullmatch(name):
            return Diagnostic(
                path, f"{shown} means nothing here", "it belongs to a single file's attributes, key or filename"
            )
        if name.startswith("var."):
            return Diagnostic(
                path, f"{shown} is not declared", did_you_mean(name, known) or "declare it under `variables`"
            )
        return Diagnostic(
            path, f"{shown} is no placeholder", did_you_mean(name, known) or "write `$${` for the text `${`"
        )


def containing_field(path: TreePath) -> str | int:
    """The field of a store, entry or override that a path lies in."""
    return path[4] if path[2] in ("files", "overrides") and len(path) > 4 else path[2]


def file_placeholders(field: str | int) -> tuple[str, ...]:
    """The names that a field leaves to be filled in for each file."""
    if field == "filename":
        return (*FILE_PLACEHOLDERS, "digest")
    return FILE_PLACEHOLDERS if field in ("attributes", "key") else ()


def _whole(text: str) -> str:
    """The name of the placeholder a text consists of; empty when it is more, or none."""
    try:
        parts = parse_template(text)
    except UnclosedPlaceholder:
        return ""
    return parts[0].text if len(parts) == 1 and isinstance(parts[0], Placeholder) else ""


def _text(value: Scalar) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
