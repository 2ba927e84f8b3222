"""The token of a session made by `oci session authenticate`: read from its file, and refused once it has expired."""

from __future__ import annotations

import base64
import json
import re
import time

from vssync.auth.credential import CredentialError
from vssync.auth.profile import Profile

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_MAX_EXPIRY = 253402300799  # 9999-12-31, the last day a calendar prints


def read_session_token(profile: Profile) -> str:
    """A profile's own session token.

    Raises CredentialError, naming the commands that renew a session.
    """
    path, raw = profile.read_file("security_token_file", own=True)
    text = raw.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(text):
        raise CredentialError(f"{path}: not a session token; {_renewal_hint(profile)}")
    expiry = _expiry(text)
    if expiry is not None and expiry <= time.time():
        when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(expiry))
        raise CredentialError(f"profile {profile.name}: its session expired at {when}; {_renewal_hint(profile)}")
    return text


def _renewal_hint(profile: Profile) -> str:
    return (
        f"renew it with `oci session refresh --profile {profile.name}` or start a new one with "
        f"`oci session authenticate --profile-name {profile.name}`"
    )


def _expiry(text: str) -> int | None:
    """When a token expires, in seconds since the epoch; None where it does not say."""
    try:
        payload = text.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        return min(max(int(claims["exp"]), 0), _MAX_EXPIRY)
    except (IndexError, KeyError, TypeError, ValueError, OverflowError):
        return None
