"""Reads OCI's configuration files: a profile, its session, and the regions of partner clouds.

Every profile inherits from [DEFAULT], which is right for a tenancy and wrong for a session's key or token.
"""

from __future__ import annotations

import configparser
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vssync.auth.credential import CredentialError, token_expiry
from vssync.errors import UsageProblem
from vssync.files import read_input

DEFAULT = "DEFAULT"
_VARIABLES = ("OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE")
_IDENTIFIER = re.compile(r"[\x21-\x7e]+")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_METADATA, _REGIONS_FILE = "OCI_REGION_METADATA", ".oci/regions-config.json"
_REGION, _DOMAIN = "regionIdentifier", "realmDomainComponent"
_REGION_FORMS = {
    _REGION: re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)+"),
    _DOMAIN: re.compile(r"(?:[a-z0-9-]{1,63}\.)+[a-z]{2,63}"),
}
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
            return path, read_input(path)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise CredentialError(
                f"{path}: {reason}; profile {self.name} of {self.file} names it as `{setting}`"
            ) from None


def home_folder(environment: Mapping[str, str]) -> Path:
    """The user's home; the root folder for users without an entry, as containers have them."""
    try:
        return Path(environment["HOME"]) if environment.get("HOME") else Path.home()
    except RuntimeError:
        return Path("/")


def read_profile(name: str, environment: Mapping[str, str]) -> Profile:
    """A profile, or [DEFAULT], of the file OCI_CONFIG_FILE names, else of ~/.oci/config. Raises CredentialError."""
    home = home_folder(environment)
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
        parser.read_string(read_input(file).decode("utf-8-sig"))
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
    expiry = token_expiry(text)
    if expiry is not None and expiry <= time.time():
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry))
        raise CredentialError(f"profile {profile.name}: its session expired at {when}; {renewal}")
    return text


def read_realms(environment: Mapping[str, str]) -> dict[str, str]:
    """The domains of regions' hosts, by region: of ~/.oci/regions-config.json, then of OCI_REGION_METADATA.

    Raises UsageProblem where one of them cannot be read.
    """
    realms: dict[str, str] = {}
    if text := environment.get(_METADATA, "").strip():
        realms.update(_parse_regions(f"[{text}]", _METADATA))
    file = home_folder(environment) / _REGIONS_FILE
    try:
        realms.update(_parse_regions(read_input(file).decode("utf-8-sig"), str(file)))
    except FileNotFoundError:
        pass
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text in UTF-8"
        raise UsageProblem(f"{file}: cannot be read: {reason}; correct it, or move it away") from None
    return realms


def _parse_regions(text: str, source: str) -> Iterator[tuple[str, str]]:
    form = f"an object with `{_REGION}` and `{_DOMAIN}`"
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list):
        raise UsageProblem(f"{source}: not JSON as OCI reads it; write {'a list with ' if '/' in source else ''}{form}")
    for number, entry in enumerate(entries, 1):
        values = {name: entry.get(name) if isinstance(entry, dict) else None for name in _REGION_FORMS}
        texts = {name: value.lower() for name, value in values.items() if isinstance(value, str)}
        wrong = [name for name, pattern in _REGION_FORMS.items() if not pattern.fullmatch(texts.get(name, ""))]
        if wrong:
            raise UsageProblem(
                f"{source}: `{wrong[0]}` of region {number} is missing or invalid; write {form} for each"
            )
        yield texts[_REGION], texts[_DOMAIN]
