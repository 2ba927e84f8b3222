"""Where objects are. An id is whatever a service or a manifest says, so none may lead to another object's address."""

from __future__ import annotations

from urllib.parse import quote


def at(*segments: str) -> str:
    """The path of these segments, each quoted: `/vector_stores/vs_1/files`."""
    return "".join(f"/{_quoted(segment)}" for segment in segments)


def _quoted(segment: str) -> str:
    """A dot or two would be a step in a path, and quoting leaves dots alone."""
    quoted = quote(segment, safe="", errors="surrogatepass")
    return quoted if segment.strip(".") else quoted.replace(".", "%2E")
