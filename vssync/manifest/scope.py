"""Which environment is meant, and what the variables stand for: decided once, before anything is filled in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

from vssync.manifest.faults import Fault, meant
from vssync.manifest.merge import Tree, merge
from vssync.manifest.numbers import OddFloat, OddInteger, number
from vssync.manifest.placeholders import Name, Unclosed, split
from vssync.manifest.schema import LABEL
from vssync.model import Scalar


@dataclass(frozen=True, slots=True)
class Scope:
    """The environment by its name and as declared (`pr-12`, `pr-*`), both empty for none, and all variables."""

    env: str = ""
    environment: str = ""
    environments: tuple[str, ...] = ()
    variables: Mapping[str, Scalar] = field(default_factory=dict)


def environment(tree: Tree, env: str | None) -> tuple[str, tuple[Fault, ...]]:
    """The declared name or pattern that an environment's name fits, empty for none."""
    declared = tuple(tree.get("environments") or ())
    if not declared:
        return "", (
            _fault(f"no environments are declared, so `{env}` is none of them", "leave --env out"),
        ) if env else ()
    known = f"known here: {', '.join(declared)}"
    if not env:
        return "", (_fault("the manifest has environments, and none was chosen", f"give --env; {known}"),)
    if not LABEL.fullmatch(env):
        return "", (_fault(f"the environment `{env}` is not a name", "letters, digits, `.`, `-`, `_`; at most 64"),)
    if env in declared:
        return env, ()
    fitting = tuple(name for name in declared if fnmatchcase(env, name))
    if len(fitting) == 1:
        return fitting[0], ()
    if fitting:
        message = f"the environment `{env}` fits {' and '.join(f'`{name}`' for name in fitting)}"
        return "", (_fault(message, "declare it by name, or make the patterns narrower"),)
    return "", (_fault(f"there is no environment `{env}`", meant(env, declared) or known),)


def _fault(message: str, hint: str) -> Fault:
    return Fault(("environments",), message, hint, at_name=True)


def in_force(tree: Tree, declared: str) -> dict[str, Any]:
    """The manifest with its environment laid over it."""
    change = (tree.get("environments") or {}).get(declared) if declared else None
    return merge(tree, change or {})


def variables(tree: Tree, given: Mapping[str, str], env: str) -> tuple[dict[str, Scalar], tuple[Fault, ...]]:
    """The value of every variable of a merged manifest; `given` are texts from the command line."""
    declared = {name: _declaration(value) for name, value in (tree.get("variables") or {}).items()}
    found: dict[str, Scalar] = {}
    faults = [
        Fault(("variables",), f"the variable `{name}` is given and not declared", meant(name, declared))
        for name in given
        if name not in declared
    ]
    for name, declaration in declared.items():
        value = _given(name, given[name], declaration) if name in given else _default(name, declaration, env)
        if isinstance(value, Fault):
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


def _given(name: str, text: str, declaration: Mapping[str, Any]) -> Scalar | Fault:
    kind = _type(declaration)
    value: Scalar | None = text
    if text != text.encode("utf-8", "ignore").decode():
        return Fault(("variables", name), f"the value given for the variable `{name}` is not UTF-8 text", at_name=True)
    if kind == "boolean":
        value = {"true": True, "false": False}.get(text)
    elif kind == "number":
        value = number(text)
        value = None if isinstance(value, OddInteger | OddFloat) else value
    if value is None:
        wanted = "true or false" if kind == "boolean" else "a number"
        return Fault(("variables", name), f"the variable `{name}` must be {wanted}, not `{text}`", at_name=True)
    return value


def _default(name: str, declaration: Mapping[str, Any], env: str) -> Scalar | Fault:
    value: Scalar | None = declaration.get("default")
    path = ("variables", name)
    if value is None:
        about = declaration.get("description")
        hint = f"give --var {name}=..." + (f" ({about})" if about else "")
        return Fault(path, f"the variable `{name}` has no value", hint, at_name=True)
    kind = _type(declaration)
    if _type_of(value) != kind:
        return Fault(path, f"the default of the variable `{name}` is not a {kind}")
    return _with_env(path, value, env) if isinstance(value, str) else value


def _with_env(path: tuple[str, ...], text: str, env: str) -> str | Fault:
    """A default may say `${env}` and nothing else, so that there is no order among variables."""
    try:
        parts = split(text)
    except Unclosed:
        return Fault(path, "a placeholder `${` is not closed", "write `$${` for the text `${`")
    for part in parts:
        if isinstance(part, Name) and (part.text != "env" or not env):
            return Fault(path, f"`${{{part.text}}}` means nothing in a variable's default", "only `${env}` does")
    return "".join(part if isinstance(part, str) else env for part in parts)
