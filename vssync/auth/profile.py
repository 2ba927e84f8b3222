"""Reads a profile of OCI's configuration file, keeping its own settings apart from inherited ones, and its session.

Every profile inherits from [DEFAULT], which is right for a tenancy and wrong for a session's key or token.
"""

from __future__ import annotations

import base64
import configparser
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vssync.auth.credential import CredentialError

DEFAULT = "DEFAULT"
_VARIABLES = ("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE")
_IDENTIFIER = re.compile(r"[\x21-\x7e]+")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_MAX_EXPIRY = 253402300799  # 9999-12-31, the last day a calendar prints
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
        """A setting that must be there, in the profile itself where `own`. Raises CredentialError."""
        value = self.own.get(setting, "") if own else self.get(setting)
        if not value:
            suffix = " of its own" if own and self.get(setting) else ""
            raise CredentialError(f"profile {self.name} of {self.file}: has no `{setting}`{suffix}")
        return value

    def identifier(self, setting: str) -> str:
        """A setting that must be there and goes into a header, such as an OCID. Raises CredentialError."""
        value = self.require(setting)
        if not _IDENTIFIER.fullmatch(value):
            raise CredentialError(
                f"profile {self.name} of {self.file}: its `{setting}` holds a character that no identifier has, such "
                "as a space or an invisible one"
            )
        return value

    def read_file(self, setting: str, *, own: bool = False) -> tuple[Path, bytes]:
        """The file a setting names, and its bytes. Raises CredentialError."""
        path = _expand(self.require(setting, own=own), self.home)
        try:
            return path, path.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CredentialError(
                f"{path}: {reason}; profile {self.name} of {self.file} names it as `{setting}`"
            ) from None


def read_profile(name: str, environment: Mapping[str, str]) -> Profile:
    """A profile, or [DEFAULT], of the file OCI_CONFIG_FILE names, else of ~/.oci/config. Raises CredentialError."""
    try:
        home = Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError:
        home = Path("/")  # containers run as users without an entry
    path = next((environment[variable] for variable in _VARIABLES if environment.get(variable)), "~/.oci/config")
    file = _expand(path, home)
    sections = _read_sections(file)
    name = name or DEFAULT
    if name not in sections:
        others = f"it has {', '.join(sections)}" if sections else "it has none"
        raise CredentialError(f"profile {name!a}: not in {file}; {others}; choose with --profile")
    inherited = {} if name == DEFAULT else sections.get(DEFAULT, {})
    return Profile(name, file, home, sections[name], inherited)


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


def read_session_token(profile: Profile) -> str:
    """The token of a session made by `oci session authenticate`. Raises CredentialError where it has expired."""
    renewal = (
        f"renew it with `oci session refresh --profile {profile.name}` or start a new one with "
        f"`oci session authenticate --profile-name {profile.name}`"
    )
    path, raw = profile.read_file("security_token_file", own=True)
    text = raw.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise CredentialError(f"{path}: not a session token; {renewal}")
    expiry = _expiry(text)
    if expiry is not None and expiry <= time.time():
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry))
        raise CredentialError(f"profile {profile.name}: its session expired at {when}; {renewal}")
    return text


def _expiry(text: str) -> int | None:
    """When a token expires, in seconds since the epoch; None where it does not say."""
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return min(max(int(claims["exp"]), 0), _MAX_EXPIRY)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None
