"""Texts that a manifest, a file's name, a document or a service may hold, and that must steer nothing that shows them.

Each renderer shows all of them. Each text holds the word `evil`, which must not stand where it could do anything.
"""

from __future__ import annotations

HOSTILE = (
    "\x1b[31mevil\x1b[0m",
    "evil\x07\x08\x00\x7f\x9b2J",
    "\u202eevil\u202c\u2066\u200b\u200f",
    "\nevil\r\nevil\u2028evil\u2029",
    "::error::evil",
    "\n::set-output name=evil::1",
    "##[error]evil",
    "@evil evil@example.com",
    "/close evil",
    "`evil` ``evil``` ~~~evil",
    "```\n# evil\n```",
    "evil|evil\\|evil",
    "[evil](https://evil.example) ![evil](x) https://evil.example www.evil.example",
    "<script>evil</script><img src=x onerror=evil>",
    "</code></details>evil<!-- evil",
    "--> evil",
    "# evil\n- evil\n> evil\n***evil***",
    "&lt;evil&gt; :evil: #1",
    "evil\ud800",
    "evil\ufffe\uffff\ufdd0\U0001ffff\U0010fffe",
    "e\u0301vil evil \U000e0001",
    # Markup, its attributes, and what ends a section of it
    "<SCRIPT>evil</SCRIPT><svg/onload=evil><iframe srcdoc=evil></iframe>",
    '" onload="evil" x="',
    "' autofocus onfocus='evil",
    "]]><evil/><![CDATA[",
    "</style><style>evil{}</style></title></pre></textarea>",
    "<?xml version='1.0'?><!DOCTYPE evil [<!ENTITY evil 'evil'>]>&evil;",
    "javascript:evil data:text/html,evil",
    # Templates
    "{{ evil }} {% evil %} {# evil #} ${evil} $(evil)",
    # Size
    "evil/" * 100,
    "evil" + "x" * 500,
)
