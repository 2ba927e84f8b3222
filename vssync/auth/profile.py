"""Reads a profile of OCI's configuration file, keeping its own settings apart from inherited ones.

Every profile inherits from [DEFAULT], which is right for a tenancy and wrong for a session's key or token.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vssync.auth.credential import CredentialError

DEFAULT = "DEFAULT"
_VARIABLES = ("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE")
_IDENTIFIER = re.compile(r"[\x21-\x7e]+")
_NO_SECTION = "\n"  # the name of a section no file can have, so that [DEFAULT] is read like any other


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: its `own` settings, and those it `inherits`. A passphrase may be among them."""

    name: str
    file: Path
    home: Path
    own: Mapping[str, str] = field(repr=False)
    inherited: Mapping[str, str] = field(repr=False)

    def get(self, setting: str) -> str:
        """A setting, its own or inherited; empty when there is none."""
        return self.own.get(setting) or self.inherited.get(setting, "")

    def require(self, setting: str, *, own: bool = False) -> str:
        """A setting that must be there, in the profile itself where `own`.

        Raises CredentialError.
        """
        value = self.own.get(setting, "") if own else self.get(setting)
        if not value:
            suffix = " of its own" if own and self.get(setting) else ""
            raise CredentialError(f"profile {self.name} of {self.file}: has no `{setting}`{suffix}")
        return value

    def identifier(self, setting: str) -> str:
        """A setting that must be there and goes into a header, such as an OCID.

        Raises CredentialError.
        """
        value = self.require(setting)
        if not _IDENTIFIER.fullmatch(value):
            raise CredentialError(
                f"profile {self.name} of {self.file}: its `{setting}` holds a character that no identifier has, such "
                "as a space or an invisible one"
            )
        return value

    def read_file(self, setting: str, *, own: bool = False) -> tuple[Path, bytes]:
        """The file a setting names, and its bytes.

        Raises CredentialError.
        """
        path = _expand(self.require(setting, own=own), self.home)
        try:
            return path, path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CredentialError(
                f"{path}: {reason}; profile {self.name} of {self.file} names it as `{setting}`"
            ) from None


def read_profile(name: str, environment: Mapping[str, str]) -> Profile:
    """A profile, [DEFAULT] for an empty name, of the file OCI_CONFIG_FILE names, else of ~/.oci/config.

    Raises CredentialError.
    """
    home = _home(environment)
    path = next((environment[variable] for variable in _VARIABLES if environment.get(variable)), "~/.oci/config")
    file = _expand(path, home)
    sections = _read_sections(file)
    name = name or DEFAULT
    if name not in sections:
        others = f"it has {', '.join(sections)}" if sections else "it has none"
        raise CredentialError(f"profile {name!a}: not in {file}; {others}; choose with --profile")
    inherited = {} if name == DEFAULT else sections.get(DEFAULT, {})
    return Profile(name, file, home, sections[name], inherited)


def _home(environment: Mapping[str, str]) -> Path:
    try:
        return Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError:
        return Path("/")  # no home: containers run as users without an entry


def _read_sections(file: Path) -> dict[str, dict[str, str]]:
    parser = configparser.ConfigParser(interpolation=None, default_section=_NO_SECTION)
    try:
        parser.read_string(file.read_text("utf-8-sig"))
    except FileNotFoundError:
        raise CredentialError(
            f"{file}: no such file; make one with `oci setup config`, name yours in OCI_CONFIG_FILE, "
            "or use a bearer key (--auth bearer)"
        ) from None
    except OSError as error:
        raise CredentialError(f"{file}: cannot be read: {error.strerror or type(error).__name__}") from None
    except (configparser.Error, UnicodeDecodeError) as error:
        # Their messages quote lines of the file.
        line = getattr(error, "lineno", None)
        place = f" (line {line})" if line else ""
        raise CredentialError(f"{file}: not a configuration file of OCI: {type(error).__name__}{place}") from None
    return {name: dict(parser[name]) for name in parser.sections()}


def _expand(path: str, home: Path) -> Path:
    return home / path[2:] if path.startswith("~/") else Path(path)
