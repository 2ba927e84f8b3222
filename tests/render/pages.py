"""Reads a page as strictly as XML is read, and holds its markup to what vssync writes itself."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from xml.etree import ElementTree

_TAGS = re.compile(
    "html|head|meta|title|style|body|header|main|footer|section|h[123]|p|b|span|code|pre|a|ul|li|dl|div|dt|dd|"
    "details|summary|table|caption|thead|tbody|tr|th|td|svg|rect|line|del|ins"
)
_NUMBER = r"-?[0-9.]+"
_ATTRIBUTES = {
    "class": r"[a-z ]+",
    "id": r"urgent|store-[0-9]+",
    "href": r"#urgent|#store-[0-9]+|https://github\.com/o/r/actions/runs/981",
    "open": "",
    "scope": "col|row",
    "colspan": "3",
    "aria-hidden": "true",
    "lang": "en",
    "charset": "utf-8",
    "name": "viewport|referrer|robots",
    "http-equiv": "Content-Security-Policy",
    "viewBox": rf"{_NUMBER} 0 {_NUMBER} 10",
    "preserveAspectRatio": "none",
    **dict.fromkeys(("x", "x1", "x2", "y", "y1", "y2", "width", "height"), _NUMBER),
}


def read_page(text: str) -> ElementTree.Element:
    """The page, of which every element and attribute is one that vssync writes, and that can load and run nothing."""
    page = ElementTree.fromstring(text)
    for element in page.iter():
        assert _TAGS.fullmatch(element.tag)
        for name, value in element.attrib.items():
            if element.tag != "meta" or name != "content":
                assert re.fullmatch(_ATTRIBUTES[name], value), (name, value)
    (style,) = page.findall("head/style")
    (policy,) = (meta.get("content") for meta in page.findall("head/meta") if meta.get("http-equiv"))
    digest = b64encode(sha256((style.text or "").encode()).digest()).decode()
    assert policy == f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert not re.search(r"url\(|@import|<script", text, re.IGNORECASE)
    return page


def text_of(element: ElementTree.Element) -> str:
    """What is to be read in an element, in words with single spaces."""
    return " ".join(" ".join(element.itertext()).split())


def body_of(text: str) -> str:
    """What is to be read in a page."""
    body = read_page(text).find("body")
    assert body is not None
    return text_of(body)
