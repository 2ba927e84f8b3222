"""A plan file that somebody edits who knows about its checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def sealed(content: Mapping[str, Any]) -> str:
    """The text of a plan file with this content, and the checksum that fits."""
    text = json.dumps({name: value for name, value in content.items() if name != "checksum"}).removesuffix("}")
    return f'{text},\n"checksum": "{hashlib.sha256(text.encode()).hexdigest()}"}}'
