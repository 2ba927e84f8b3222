"""vssync makes vector stores declarative: a manifest in git, a plan to review, an apply that converges."""

__version__ = "0.1.0"
