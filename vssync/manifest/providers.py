"""What each provider takes: extensions and the largest file. Tables, so that they can be corrected in one place."""

from __future__ import annotations

_CODE = (".c", ".cpp", ".cs", ".css", ".go", ".html", ".java", ".js", ".json", ".php", ".py", ".rb", ".sh", ".ts")
_OPENAI = frozenset((*_CODE, ".doc", ".docx", ".md", ".pdf", ".pptx", ".tex", ".txt"))
EXTENSIONS: dict[str, frozenset[str] | None] = {  # None: any
    "local": _OPENAI,
    "openai": _OPENAI,
    "oci": frozenset((".pdf", ".md", ".txt")),
    "compatible": None,
}
REASONS = frozenset(("unsupported", "empty", "too_large"))  # why a file may be left out
LARGEST = 512 * 1024 * 1024  # bytes; OpenAI spec, the limit of one upload to /files
