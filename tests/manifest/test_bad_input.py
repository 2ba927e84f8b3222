"""Each rule of the manifest broken once: the message, its place, and the way out."""

from __future__ import annotations

from pathlib import Path
from textwrap import indent

import pytest

from tests.manifest.builders import HEAD, PAGES, load_manifest, load_problems, write_files
from vssync.errors import ManifestError
from vssync.sources.load import load_sources

STORE = "stores:\n  guide:\n"  # what follows it begins in line 5
FILES = STORE + "    files:\n"  # what follows it begins in line 6
HUGE = "1" + "0" * 310  # beyond the largest float
ENV = "environments: {dev: {}, prod: {}}\n"  # moves the rest down a line

FORM = [
    ("a: 1\n" + STORE, (3, 1), "unknown field `a`", "allowed here: version, owner, root"),
    (STORE + "    chunk: auto\n", (5, 5), "unknown field `chunk` in `stores.guide`", "did you mean `chunking`?"),
    (STORE + "    prune: no\n", (5, 12), "`stores.guide.prune` must be true or false, not text", "write false"),
    (STORE + "    name: 12\n", (5, 11), "`stores.guide.name` must be text, not a number", 'write "12"'),
    (STORE + "    name: [a]\n", (5, 11), "`stores.guide.name` must be text, not a list", "needs quotes"),
    (
        STORE + "    formats: {.docx: Markdown}\n",
        (5, 22),
        "`stores.guide.formats[.docx]` cannot be `Markdown`",
        "or `markdown`",
    ),
    (STORE + "    skip: empty\n", (5, 11), "`stores.guide.skip` must be a list, not text", "write [empty]"),
    (
        STORE + "    skip: [emty]\n",
        (5, 12),
        "`too_large`, `broken`, `draft` or `!draft`, not `emty`",
        "`empty`?",
    ),
    ("stores: []\n", (3, 9), "`stores` must be a mapping, not a list", ""),
    ("stores: {a/b: {}}\n", (3, 10), "the name `a/b` in `stores` is not allowed", "letters, digits"),
    (f"stores: {{{'a' * 65}: {{}}}}\n", (3, 10), "is not allowed", "at most 64"),
    (FILES + "      - path: {a,b}\n", (6, 15), "`stores.guide.files[0].path` must be text, not a mapping", "quotes"),
    (FILES + "      - {}\n", (6, 9), "`stores.guide.files[0]` lacks the field `path`", "write `path: ...`"),
    (FILES + "      - {file_id: f}\n", (6, 9), "`stores.guide.files[0]` lacks the field `key`", "needs a `key`"),
    (FILES + "      - {path: ''}\n", (6, 16), "`stores.guide.files[0].path` is empty", ""),
    (FILES + "      - docs\n", (6, 9), "`stores.guide.files[0]` must be a mapping, not text", ""),
    ("service: {provider: ocy}\n" + STORE, (3, 21), "`service.provider` must be `local`, `oci`", "did you mean `oci`?"),
    *(
        (f"service: {{{name}: x}}\n" + STORE, (3, 11), f"unknown field `{name}` in `service`", way_out)
        for names, way_out in (
            (("auth_command", "auth-command", "token_command"), "use --auth-command or VSSYNC_AUTH_COMMAND"),
            (("api_key", "token", "password"), "a manifest holds no secrets: set VSSYNC_API_KEY"),
        )
        for name in names
    ),
    ("service: {data_url: example.com}\n" + STORE, (3, 21), "cannot be `example.com`", "begins with https://"),
    (STORE + "    attributes: {v: 1.10}\n", (5, 21), "1.10 is 1.1", 'write 1.1 for the number, or "1.10" for the text'),
    (STORE + "    attributes: {v: 010}\n", (5, 21), "010 is 10", 'write 10 for the number, or "010" for the text'),
    (STORE + "    attributes: {v: 1e3}\n", (5, 21), "1e3 is 1000.0", 'or "1e3" for the text'),
    (STORE + "    attributes: {v: .inf}\n", (5, 21), "is not a finite number: .inf", 'write ".inf" for the text'),
    (STORE + "    attributes: {v: .nan}\n", (5, 21), "is not a finite number: .nan", ""),
    (STORE + "    attributes: {v: 9007199254740993}\n", (5, 21), "must be at most 9007199254740992", ""),
    (STORE + f"    attributes: {{v: {HUGE}}}\n", (5, 21), "000; must be at most 9007199254740992", ""),
    (STORE + f"    attributes: {{v: -{HUGE}}}\n", (5, 21), "000; must be at least -9007199254740992", ""),
    (STORE + f"    expires_after: {{days: {HUGE}}}\n", (5, 27), "000; must be at most 365", ""),
    (STORE + "    expires_after: {days: .inf}\n", (5, 27), "must be a whole number, not .inf", ""),
    *(
        (STORE + f"    attributes: {{v: {sign}{digits}}}\n", (5, 21), f"is not a finite number: {sign}{digits[:9]}", "")
        for sign in ("", "-")
        for digits in ("1" * 1001, "1" + "0" * 5000, *(["0x" + "f" * 1001] if not sign else []))
    ),
    (STORE + f"    attributes: {{v: {'1' * 401}}}\n", (5, 21), "must be at most 9007199254740992", ""),
    (STORE + "    chunking: {size: 50, overlap: 1}\n", (5, 22), "`stores.guide.chunking.size` is 50", ""),
    *(
        (
            STORE + f"    {start}chunking: {{max_chunk_size_tokens: {size}, chunk_overlap_tokens: {overlap}}}{end}\n",
            (5, 39 + len(start) + moved),
            message,
            "",
        )
        for start, end, place in (("", "", "chunking"), ("files: [{path: docs/**, ", "}]", "files[0].chunking"))
        for size, overlap, moved, message in (
            (50, 1, 0, f"`stores.guide.{place}.max_chunk_size_tokens` is 50"),
            (500, -1, 27, f"`stores.guide.{place}.chunk_overlap_tokens` is -1"),
            (500, 300, 27, "an overlap of 300 is over half"),
        )
    ),
    (STORE + "    chunking: {max_chunk_size_tokens: 500, overlap: -1}\n", (5, 53), ".chunking.overlap` is -1", ""),
    (f"service: {{capabilities: {{batch_size: {HUGE}}}}}\n" + STORE, (3, 38), "000; must be at most 2000", ""),
    (f"variables: {{v: 0{HUGE}}}\n" + STORE, (3, 16), "would not be kept as written: 01000", ""),
    (STORE + "    attributes: {v: {from: 1}}\n", (5, 28), "must be text or a list, not a number", ""),
    (
        STORE + "    attributes: {v: [a]}\n",
        (5, 21),
        "must be text, a number, a mapping, true or false, not a list",
        "one plain value",
    ),
    (STORE + "    attributes: {vssync_v: 1}\n", (5, 18), "the name `vssync_v` in", "does not start with `vssync_`"),
    (STORE + f"    attributes: {{{'k' * 65}: 1}}\n", (5, 18), "has 65 characters; at most 64 are allowed", ""),
    (STORE + f"    attributes: {{v: {'x' * 513}}}\n", (5, 21), "has 513 characters; at most 512 are allowed", ""),
    (STORE + "    metadata: {vssync_owner: x}\n", (5, 16), "the name `vssync_owner`", ""),
    (STORE + "    metadata: {a: 1}\n", (5, 19), "must be text, not a number", 'write "1"'),
    (
        STORE + f"    metadata: {{{', '.join(f'k{n}: v' for n in range(11))}}}\n",
        (5, 15),
        "has 11 names; at most 10",
        "",
    ),
    (STORE + "    chunking: full\n", (5, 15), "`stores.guide.chunking` must be `auto`, not `full`", ""),
    (STORE + "    chunking: {size: 800}\n", (5, 15), "lacks the field `overlap`", ""),
    (
        STORE + "    chunking: {size: 99, overlap: 0}\n",
        (5, 22),
        "is 99; must be at least 100",
        "",
    ),
    (STORE + "    chunking: {size: 4097, overlap: 0}\n", (5, 22), "at most 4096", ""),
    (
        STORE + "    removed: delete\n    prune: false\n    skip: [empty]\n",
        (5, 5),
        "a store that is `removed` cannot have `prune` and `skip`",
        "only `name`, `id`, `external` and `was`",
    ),
    (STORE + "    removed: yes\n", (5, 14), "must be `delete` or `keep`, not `yes`", ""),
    (STORE + "    delete: true\n", (5, 5), "unknown field `delete`", "removed: delete"),
    (STORE + "    expires_after: {days: 366}\n", (5, 27), "is 366; must be at most 365", ""),
    (STORE + "    expires_after: {days: 1.5}\n", (5, 27), "must be a whole number", ""),
    ("service: {capabilities: {batch_size: 0}}\n" + STORE, (3, 38), "is 0; must be at least 1", ""),
    (STORE + "    guards: {max_delete: 30}\n    guard: 1\n", (6, 5), "unknown field `guard`", "did you mean `guards`?"),
    (STORE + "    guards: {max_delete: most}\n", (5, 26), "cannot be `most`", "a share such as `30%`, or a number"),
    (STORE + "    guards: {max_delete: 101%}\n", (5, 26), "cannot be `101%`", "a share"),
    (
        STORE + "    guards: {max_delete: 1.5}\n",
        (5, 26),
        "must be text or a whole number, not 1.5",
        "a share such as `30%`, or a number of files",
    ),
    (STORE + "    formats: {MD: .md}\n", (5, 15), "the name `MD` in", "with its dot, in lower case: `.md`"),
    (STORE + "    formats: {.mdx: md}\n", (5, 21), "cannot be `md`", "with its dot, in lower case: `.md`"),
    (STORE + "    attributes: {a: {from: git.time}}\n", (5, 28), "cannot be `git.time`", "`heading`, `git.date`"),
    (
        STORE + "    attributes: {a: {from: []}}\n",
        (5, 28),
        "`stores.guide.attributes.a.from` is empty",
        "name at least one",
    ),
    (
        STORE + "    attributes: {a: {from: heading, jion: x}}\n",
        (5, 37),
        "unknown field `jion`",
        "did you mean `join`?",
    ),
    (STORE + "    attributes: {a: {from: heading, as: date}}\n", (5, 41), "must be `epoch`", ""),
    ("defaults: {id: x}\n" + STORE, (3, 12), "unknown field `id` in `defaults`", ""),
    ("variables: {a-b: {kind: x}}\n" + STORE, (3, 19), "unknown field `kind` in `variables.a-b`", "allowed here: type"),
    ("variables: {v: 1.10}\n" + STORE, (3, 16), "1.10 is 1.1", ""),
    ("variables: {v: {default: 1.10}}\n" + STORE, (3, 26), "1.10 is 1.1", ""),
    ("environments: {a/b: {}}\n" + STORE, (3, 16), "the name `a/b` in `environments`", ""),
    ("environments: {dev: {name: x}}\n" + STORE, (3, 22), "unknown field `name` in `environments.dev`", ""),
    (
        "environments: {dev: {stores: {guide: {prune: 1}}}}\n" + STORE,
        (3, 46),
        "must be true or false, not a number",
        "",
    ),
    ("environments: {dev: {stores: {guide: {attributes: {v: 1.10}}}}}\n" + STORE, (3, 55), "1.10 is 1.1", ""),
]
RULES = [
    (
        STORE + "    chunking: {size: 100, overlap: 51}\n",
        (5, 36),
        "an overlap of 51 is over half of the chunk size 100",
        "at most 50 is allowed",
    ),
    ("service: {project: '${env}'}\n" + STORE, (3, 20), "not filled in under `service`", "use `environments`"),
    ("stores: {a: {name: x}, b: {name: x}}\n", (3, 34), "two stores have the live name `x`: `a` and `b`", ""),
    ("stores: {a: {name: x, id: y}, b: {name: x}}\n", (3, 41), "two stores have the live name `x`: `a` and `b`", ""),
    ("stores: {a: {name: b}, b: {}}\n", (3, 27), "two stores have the live name `b`: `a` and `b`", ""),
    ("stores: {a: {id: x}, b: {id: x}}\n", (3, 30), "two stores have the id `x`", ""),
    ("stores: {a: {was: [x]}, b: {was: [x]}}\n", (3, 35), "two stores have the former key `x`", ""),
    ("stores: {a: {was: [b]}, b: {}}\n", (3, 20), "`b` is a store of this manifest, not a former key", "remove"),
    (STORE + "    attributes: {by: x}\n    ignore_attributes: [by]\n", (5, 18), "leaves it to others", "remove it"),
    (FILES + "      - path: /etc/*.md\n", (6, 15), "`/etc/*.md` is an absolute path", "relative to `root`"),
    (FILES + "      - path: C:/docs/*.md\n", (6, 15), "`C:/docs/*.md` is an absolute path", ""),
    (FILES + "      - path: docs/../../x.md\n", (6, 15), "`docs/../../x.md` leaves `root`", "set `root` higher"),
    (FILES + "      - path: docs/\n", (6, 15), "`docs/` is a folder", "write `docs/**` for every file in it"),
    (FILES + "      - path: .\n", (6, 15), "`.` is a folder", "write `**` for every file in it"),
    (FILES + "      - path: .git/config.md\n", (6, 15), "lies in `.git`, which is never read", ""),
    (FILES + '      - path: "**/a/**/b/**/c/**/d/**/*.md"\n', (6, 15), "has more than 4 `**`", "write fewer"),
    (FILES + '      - path: "{1..2000}/*.md"\n', (6, 15), "is not a valid pattern", "fewer alternatives"),
    (
        FILES + '      - {path: docs/**, exclude: ["{1..600}"]}\n',
        (6, 35),
        "is not a valid pattern",
        "fewer alternatives",
    ),
    (STORE + '    overrides: [{match: "{1..600}"}]\n', (5, 25), "is not a valid pattern", "fewer alternatives"),
    (FILES + "      - {path: docs/**, exclude: [../x]}\n", (6, 35), "`../x` leaves `root`", ""),
    (
        FILES + "      - {file_id: f, key: k, optional: true}\n",
        (6, 30),
        "an entry with `file_id` cannot have `optional`",
        "",
    ),
    (FILES + "      - {file_id: f, key: '${path}'}\n", (6, 27), "has no path to make a key from", "in full"),
    (FILES + "      - {file_id: f, key: null}\n", (6, 27), "`stores.guide.files[0].key` must be text, not null", ""),
    (FILES + "      - {file_id: f, key: a}\n      - {file_id: f, key: b}\n", (7, 19), "`f` is declared twice", ""),
    *(
        (
            STORE + f"    {layer}attributes: {{t: {{from: front_matter, join: '${{{name}}}'}}}}{end}\n",
            (5, 48 + len(layer)),
            f"`${{{name}}}` cannot be used here",
            "use it in",
        )
        for layer, end in (("", ""), ("files: [{path: docs/**, ", "}]"), ("overrides: [{match: docs, ", "}]"))
        for name in ("stem", "dir.0", "digest")
    ),
    (
        STORE + "    removed: delete\n    files: [{path: gone.md}, {path: .md}]\n",
        (5, 5),
        "a store that is `removed` cannot have `files`",
        "",
    ),
    (STORE + "    removed: yes\n    files: [{path: gone.md}]\n", (5, 14), "must be `delete` or `keep`", ""),
    *(
        (FILES + f"      - path: {path}\n", (6, 15), "is a folder", f"write `{way_out}` for every file in it")
        for path, way_out in (("docs./", "docs./**"), ("docs/.", "docs/**"), ("./", "**"), ("docs/./", "docs/**"))
    ),
    (FILES + '      - {path: docs/**, exclude: ["./"]}\n', (6, 35), "`./` is a folder", "write `**`"),
    (
        FILES + "      - {path: '{docs,docs/api}/*.md', key: '${dir.0}'}\n",
        (6, 9),
        "have the same key: `docs`",
        "make their `key` differ, such as by `${path}`",
    ),
    (FILES + "      - {path: docs/**, only: [dev]}\n", (6, 32), "there is no environment `dev`", "declare it under"),
    (STORE + '    overrides: [{match: "/a"}]\n', (5, 25), "`/a` is an absolute path", ""),
    (FILES + "      - path: docs/*.txt\n", (6, 15), "`docs/*.txt` matches no file", "or add `optional: true`"),
    (FILES + "      - path: docs/gone.md\n", (6, 15), "`docs/gone.md` does not exist", "fix it"),
    (FILES + "      - path: DOCS/*.md\n", (6, 15), "`DOCS/*.md` matches no file", ""),
    (
        FILES + "      - path: docs/**\n      - path: docs/*.md\n",
        (7, 15),
        "`docs/intro.md` is chosen by two entries, also by `stores.guide.files[0]`",
        "narrow one of them, or use `exclude`",
    ),
    (
        FILES + "      - path: docs/**\n      - path: '**/*.md'\n",
        (7, 15),
        "`docs/api/call.md` and 2 more files are chosen by two entries",
        "",
    ),
    (
        FILES + "      - {path: docs/intro.md, key: k}\n      - {path: docs/api/call.md, key: k}\n",
        (7, 9),
        "`docs/intro.md` and `docs/api/call.md` have the same key: `k`",
        "rename one, or give it a `key`",
    ),
    (
        FILES + "      - {path: docs/intro.md, key: k}\n      - {file_id: f, key: k}\n",
        (7, 9),
        "have the same key: `k`",
        "",
    ),
    (
        STORE + f"    attributes: {{{', '.join(f'k{n}: 1' for n in range(15))}}}\n    files: [{{path: docs/**}}]\n",
        (6, 13),
        "15 attributes after merging, 14 are allowed",
        "set some of them to `null`",
    ),
    (
        STORE + "    attributes: {long: '${path}" + "x" * 505 + "'}\n    files: [{path: docs/intro.md}]\n",
        (5, 24),
        "the attribute `long` has 518 characters, 512 are allowed (`docs/intro.md`)",
        "shorten it",
    ),
    (
        f"variables: {{v: {'x' * 300}}}\nstores: {{a: {{name: '${{var.v}}'}}}}\n",
        (4, 20),
        "`stores.a.name` has 300 characters; at most 256 are allowed",
        "",
    ),
    (
        STORE + "    filename: '${dir}'\n    files: [{path: '*.md'}]\n",
        (0, 0),
        "the upload name made for it is empty",
        "",
    ),
    (FILES + "      - {path: '*.md', key: '${dir}'}\n", (0, 0), "the key made for it is empty", "fix the template"),
    ("root: gone\n" + STORE, (3, 7), "the root `gone` is not a folder", "name a folder that exists"),
    ('root: "a\\0b"\n' + STORE, (3, 7), "is not a folder", ""),
    (f"root: {'a' * 300}\n" + STORE, (3, 7), "is not a folder", ""),
    (f"root: {'a/' * 5000}\n" + STORE, (3, 7), "is not a folder", ""),
    ('variables: {x: ""}\nroot: "${var.x}"\n' + STORE, (4, 7), "`root` is empty", ""),
    (
        "variables: {x: gone}\nroot: ${var.x}\n" + STORE,
        (4, 7),
        "the root `gone` is not a folder",
        "a folder that exists",
    ),
    ("root: ..\n" + STORE, (3, 7), "the root `..` lies outside of", "--allow-outside"),
    ("include: [gone/*.yaml]\n" + STORE, (3, 11), "the pattern matches no file", ""),
    ("include: [../*.yaml]\n" + STORE, (3, 11), "`../*.yaml` leaves the manifest's folder", "move the files into it"),
    ("include: [/x.yaml]\n" + STORE, (3, 11), "is an absolute path", "relative to the manifest's folder"),
]


@pytest.mark.parametrize(("text", "place", "message", "hint"), [*FORM, *RULES])
def test_each_rule_broken_once(tmp_path: Path, text: str, place: tuple[int, int], message: str, hint: str) -> None:
    env = "dev" if text.startswith("environments: {dev:") else None
    (problem,) = load_problems(tmp_path, text, {**PAGES, "top.md": "x"}, env=env)
    assert message in problem.message
    assert hint in problem.hint
    assert (problem.line, problem.column) == place
    assert problem.file == (str(tmp_path / "vssync.yaml") if place[0] else "top.md")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("owner: x\nstores: {} # version:", "the manifest lacks the field `version`"),
        ("version: 1\nstores: {}", "the manifest lacks the field `owner`"),
        ("version: 1\nowner: x\n", "the manifest lacks the field `stores`"),
        ("version: 2\nnew: 1", "`version` 2 is newer than this vssync, which reads version 1"),
        ("version: '1'\nowner: x\nstores: {}", "`version` must be 1, not text"),
        ("version: null\nowner: x\nstores: {}", "`version` must be 1, not null"),
        ("version: 1\nowner: a;b\nstores: {}", "`owner` cannot be `a;b`"),
        ("version: 1\nowner: a/b\nstores: {}", "`owner` cannot be `a/b`"),
        ('version: 1\nowner: "a\\n"\nstores: {}', "`owner` cannot be `a\n`"),
        ("version: 1\nowner: 12\nstores: {}", "`owner` must be text, not a number"),
    ],
)
def test_what_every_manifest_begins_with(tmp_path: Path, text: str, message: str) -> None:
    assert message in load_problems(tmp_path, text)[0].message


@pytest.mark.parametrize(
    ("text", "field", "form"),
    [
        ("name: kb\nstores: {}", "name", "owner: product-docs"),
        ("vector_stores: {}\nstores: {}", "vector_stores", "stores:\n  guide: {files: [{path: docs/**/*.md}]}"),
        (STORE + "    front_matter: [title]", "front_matter", "attributes:\n  title: {from: front_matter}"),
        (FILES + "      - {path: docs/**, front_matter: [title]}", "front_matter", "attributes:\n  title: {from: "),
        ("defaults: {extensions: [.adoc]}\n" + STORE, "extensions", "formats:\n  .adoc: .adoc"),
        ("batch: {size: 3}\n" + STORE, "batch", "service:\n  capabilities: {batch_size: 500}"),
        (STORE + "    batch: {size: 3}", "batch", "service:\n  capabilities: {batch_size: 500}"),
        (FILES + "      - {path: docs/**, not: [prod]}", "not", 'only: ["!prod"]'),
        (STORE + "    max_chunk_size_tokens: 800", "max_chunk_size_tokens", "chunking: {size: 800, overlap: 400}"),
        ("defaults: {chunk_overlap: 8}\n" + STORE, "chunk_overlap", "chunking: {size: 800, overlap: 400}"),
        (
            STORE + "    chunking: {size: 800, overlap: 8, max_chunk_size_tokens: 800}",
            "max_chunk_size_tokens",
            "chunking: {size: 800, overlap: 400}",
        ),
        (STORE + "    chunking: {static: {}, size: 800, overlap: 8}", "static", "chunking: {size: 800, overlap: 400}"),
        (STORE + "    path: docs/**", "path", "files:\n  - path: docs/**/*.md"),
        (STORE + "    exclude: [docs/drafts]", "exclude", "files:\n  - {path: docs/**/*.md, exclude: [docs/drafts]}"),
        ("questions: q.yaml\n" + STORE, "questions", "stores:\n  guide: {tests: questions.yaml}"),
        (STORE + "    questions: [{ask: x}]", "questions", "tests: questions.yaml"),
        (FILES + "      - {path: a.md, name: sso.md}", "name", "filename: sso.md"),
        (STORE + "    max_delete: 10%", "max_delete", "guards: {max_delete: 30%, max_replace: 50%}"),
    ],
)
def test_what_people_write_from_habit_is_shown_in_its_own_form(
    tmp_path: Path, text: str, field: str, form: str
) -> None:
    problem = next(problem for problem in load_problems(tmp_path, text) if "unknown field" in problem.message)
    assert f"unknown field `{field}`" in problem.message
    assert f"write\n{indent(form, ' ' * 6)}" in problem.hint


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("skip: [empty]\n" + STORE, "in `defaults` or in `stores.NAME`"),
        ("region: x\n" + STORE, "in `service`"),
        ("service: {batch_size: 3}\n" + STORE, "in `service.capabilities`"),
        ("path: docs/*.md\n" + STORE, "in `defaults.files[0]` or in `stores.NAME.files[0]`"),
        (STORE + "    provider: oci\n", "in `service`"),
        (STORE + "    include: [more.yaml]\n", "at the top of the manifest"),
        (STORE + "    match: docs\n", "in `stores.guide.overrides[0]`"),
        (STORE + "    overrides: [{match: docs, skip: [empty]}]\n", "in `stores.guide`"),
        (FILES + "      - {path: a}\n      - {path: b, batch_size: 3}\n", "in `service.capabilities`"),
        ("service: {owner: x}\n" + STORE, "at the top of the manifest"),
        (
            "environments: {dev: {files: []}}\n" + STORE,
            "in `environments.dev.defaults` or in `environments.dev.stores.NAME`",
        ),
    ],
)
def test_a_field_that_other_mappings_have_is_told_where_it_belongs(tmp_path: Path, text: str, place: str) -> None:
    (hint,) = [each.hint for each in load_problems(tmp_path, text) if "unknown field" in each.message]
    assert hint == f"it belongs {place}"


def test_a_field_of_the_manifest_in_an_included_file_is_sent_there(tmp_path: Path) -> None:
    write_files(tmp_path, {"more.yaml": "service: {provider: local}\nstores: {a: {files: [{path: docs/intro.md}]}}\n"})
    (problem,) = load_problems(tmp_path, "include: [more.yaml]\n" + FILES + "      - path: docs/*.md\n")
    assert (Path(problem.file).name, problem.hint) == ("more.yaml", "it belongs at the top of the manifest")


@pytest.mark.parametrize("wrong", ["gaurds", "guard", "guads"])
def test_a_field_that_is_misspelled_is_named(tmp_path: Path, wrong: str) -> None:
    (problem,) = load_problems(tmp_path, STORE + f"    {wrong}: {{max_delete: 10%}}")
    assert problem.hint == "did you mean `guards`?"


def test_everything_wrong_in_one_store_is_reported_together(tmp_path: Path) -> None:
    text = STORE + "    prun: true\n    chunking: half\n    files: [{path: 1}]\n"
    assert [problem.line for problem in load_problems(tmp_path, text)] == [5, 6, 7]


def test_a_thousand_problems_are_twenty_and_a_count(tmp_path: Path) -> None:
    entries = "".join(f"      - path: gone-{number}.md\n" for number in range(1000))
    with pytest.raises(ManifestError) as raised:
        load_manifest(tmp_path, FILES + entries)
    lines = str(raised.value).splitlines()
    assert len([line for line in lines if "does not exist" in line]) == 20
    assert lines[-1] == "and 980 more problems (1,000 in all)"


def test_five_megabytes_of_aliases_are_refused(tmp_path: Path) -> None:
    (problem,) = load_problems(tmp_path, "x-a: &a [" + "x," * 1000 + "]\nx-b:\n" + "- *a\n" * 1_000_000 + STORE)
    assert "aliases add more than 100,000 values" in problem.message


@pytest.mark.parametrize("content", [b"name: \xff\n", HEAD.encode("utf-16")])
def test_a_manifest_is_utf_8(tmp_path: Path, content: bytes) -> None:
    write_files(tmp_path, {"vssync.yaml": content})
    with pytest.raises(ManifestError, match="the manifest is not UTF-8 text"):
        load_sources(tmp_path)
