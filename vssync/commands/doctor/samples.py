"""A small valid file of each kind that people put into stores; each holds the word by which a search finds it. Pure."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Mapping

_WORDPROCESSING = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_DOCX = {
    "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="rels" ContentType='
    '"application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType='
    '"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>',
    "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" Type="http://schemas.'
    'openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>',
    "word/document.xml": f'<w:document xmlns:w="{_WORDPROCESSING}"><w:body><w:p><w:r><w:t>WORD is in a document.'
    "</w:t></w:r></w:p></w:body></w:document>",
}


def chapters(word: str) -> str:
    """A text of some 1,500 tokens, the word in every line."""
    lines = (f"{word} chapter {number} explains in a few plain words what it is about." for number in range(1, 61))
    return "\n".join(lines) + "\n"


def _pdf(word: str) -> bytes:
    """One page with one line of text, and the table of offsets that readers ask for."""
    page = f"BT /F1 12 Tf 72 720 Td ({word} is in a page.) Tj ET"
    objects = (
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        "/Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(page)} >>\nstream\n{page}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    )
    text, offsets = "%PDF-1.4\n", []
    for number, content in enumerate(objects, 1):
        offsets.append(len(text))
        text += f"{number} 0 obj\n{content}\nendobj\n"
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = f"trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(text)}\n%%EOF\n"
    return f"{text}xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode()


def _docx(word: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in _DOCX.items():
            archive.writestr(zipfile.ZipInfo(name), text.replace("WORD", word))
    return buffer.getvalue()


SAMPLES: Mapping[str, Callable[[str], bytes]] = {
    ".md": lambda word: chapters(word).encode(),
    ".pdf": _pdf,
    ".docx": _docx,
    ".html": lambda word: f"<!doctype html><title>Page</title><p>{word} is in a page.</p>\n".encode(),
    ".json": lambda word: json.dumps({"text": f"{word} is in a value."}).encode(),
    ".csv": lambda word: f"name,text\none,{word} is in a cell\n".encode(),
    ".py": lambda word: f'"""{word} is in a docstring."""\n'.encode(),
}
