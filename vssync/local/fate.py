"""What is to become of a file that is attached, where it is not the usual: how faults in ingestion are asked for.

Whoever wraps the service decides per request, and hands the decision on in the WSGI environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

ENVIRON = "vssync.fates"


@dataclass(frozen=True, slots=True)
class Fate:
    delay: float = 0.0  # seconds before ingestion may begin; infinite means never
    code: str = ""  # ingestion fails with this
    refused: str = ""  # attaching is refused with this


Fates = Callable[[str, str], Fate]  # File id and file name to fate


def usual(_file_id: str, _filename: str) -> Fate:
    return Fate()
