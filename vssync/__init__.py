"""vssync makes vector stores declarative: a manifest in git, a plan to review, an apply that converges."""

from __future__ import annotations

__version__ = "0.1.0"
