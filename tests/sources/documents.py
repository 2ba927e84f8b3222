"""Small real documents, with a heading, a word and a table where the kind has them."""

from __future__ import annotations

import io
import json
import zipfile

from vssync.commands.doctor.samples import SAMPLES

_STYLES = (
    '<w:styles xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:style w:type="paragraph" '
    'w:styleId="H"><w:name w:val="heading 1"/></w:style></w:styles>'
)
_HEADING = '<w:body><w:p><w:pPr><w:pStyle w:val="H"/></w:pPr><w:r><w:t>HEADING</w:t></w:r></w:p>'


def docx(heading: str, words: str, *, more: str = "") -> bytes:
    """A Word document; `more` goes into its archive as another part, which no reader shows."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(SAMPLES[".docx"](words))) as plain, zipfile.ZipFile(buffer, "w") as archive:
        for name in plain.namelist():
            text = plain.read(name).decode()
            archive.writestr(name, text.replace("<w:body>", _HEADING.replace("HEADING", heading)))
        archive.writestr("word/styles.xml", _STYLES)
        if more:
            archive.writestr("docProps/more.xml", more)
    return buffer.getvalue()


def bomb(gigabytes: int) -> bytes:
    """A Word document of some megabytes whose text has gigabytes."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(SAMPLES[".docx"]("x"))) as plain,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for name in plain.namelist():
            start, _, end = plain.read(name).partition(b"x is")
            with archive.open(name, "w", force_zip64=True) as part:
                part.write(start)
                for _ in range(gigabytes * 1024 if end else 0):
                    part.write(b"x" * (1 << 20))
                part.write(end)
    return buffer.getvalue()


def pptx(title: str) -> bytes:
    """One slide."""
    from pptx import Presentation

    presentation, buffer = Presentation(), io.BytesIO()
    presentation.slides.add_slide(presentation.slide_layouts[0]).shapes.title.text = title
    presentation.save(buffer)
    return buffer.getvalue()


def xlsx(*rows: tuple[object, ...]) -> bytes:
    """One sheet."""
    from openpyxl import Workbook

    workbook, buffer = Workbook(), io.BytesIO()
    for row in rows:
        workbook.active.append(row)
    workbook.save(buffer)
    return buffer.getvalue()


def ipynb(*cells: tuple[str, str]) -> bytes:
    """A notebook of cells, each a type and its text."""
    return json.dumps({"cells": [{"cell_type": kind, "source": [text]} for kind, text in cells]}).encode()
