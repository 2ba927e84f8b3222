"""Reads the files of YAML or JSON that a manifest consists of or names: the included ones, and those of questions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from vssync.errors import ManifestError, Problem
from vssync.files import describe_path
from vssync.manifest.build import check_document
from vssync.manifest.diagnostics import Diagnostic, Documents, locate_diagnostics
from vssync.manifest.globs import FoundFile
from vssync.manifest.questions import QuestionFile, find_unanswerable, parse_questions
from vssync.manifest.spec import Manifest
from vssync.manifest.yaml_loader import Document, Tree, parse_document
from vssync.model.state import Desired
from vssync.sources.paths import ALLOW_HINT, MOST_BYTES, Sandbox, from_disk, on_disk
from vssync.sources.schemas import load_schema
from vssync.text import format_size

LARGE_HINT = "name files by patterns; whoever runs vssync can allow it with --allow-large"

if TYPE_CHECKING:
    from vssync.sources.revision import Checkout


def read_document(file: Path, shown_name: str, sandbox: Sandbox, noun: str = "manifest", *, used: int = 0) -> Document:
    """A file of YAML or JSON. Raises ManifestError, in which the file is called by the noun.

    `used` are the bytes of the files that it belongs to.
    """
    try:
        with sandbox.open(str(file)) as (opened, status):
            if status.st_size + used > sandbox.most_bytes:
                whole = "the manifest and its included files are" if used else f"the {noun} is"
                large = f"{whole} larger than {format_size(MOST_BYTES)}"
                raise ManifestError((Problem(shown_name, 0, 0, large, LARGE_HINT),))
            with os.fdopen(opened, "rb", closefd=False) as stream:
                text = stream.read().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        problem = Problem(shown_name, line, 1, f"the {noun} is not UTF-8 text", "save it as UTF-8")
    except OSError as error:
        problem = Problem(shown_name, 0, 0, f"the {noun} cannot be read: {error.strerror}")
    else:
        return parse_document(text, shown_name, noun)
    raise ManifestError((problem,))


def read_included(
    main: Document, folder: Path, schema: Tree, files: list[FoundFile], sandbox: Sandbox
) -> tuple[Document, ...]:
    """The included files. Raises ManifestError with the problems of all of them."""
    documents: list[Document] = []
    used = len(main.text)
    problems: list[Problem] = []
    for file in files:
        shown_name = os.path.join(os.path.dirname(main.file_name), file.path)
        if file.problem:
            problems.append(Problem(shown_name, 0, 0, file.problem))
        elif shown_name != main.file_name:
            try:
                document = read_document(folder / on_disk(file.path), shown_name, sandbox, used=used)
                used += len(document.text)
                documents.append(check_document(document, schema, "included"))
            except ManifestError as error:
                problems += error.problems
    if problems:
        raise ManifestError((*problems, *(problem for document in documents for problem in document.problems)))
    return tuple(documents)


def read_questions(
    manifest: Manifest, folder: Path, sandbox: Sandbox, checkout: Checkout | None
) -> tuple[Mapping[str, QuestionFile], tuple[Problem, ...]]:
    """The questions of each store that names a file of them, by its key, and what is wrong with these files."""
    by_path: dict[str, QuestionFile | None] = {}
    problems: list[Problem] = []
    for spec in manifest.stores:
        if not spec.tests or spec.tests in by_path:
            continue
        file = folder / on_disk(os.path.normpath(spec.tests))
        by_path[spec.tests] = None
        if checkout and (real := Path(os.path.realpath(file))).is_relative_to(checkout.folder):
            checkout.write([from_disk(real.relative_to(checkout.folder).as_posix())])
        if problem := _questions_problem(spec.tests, file, sandbox):
            diagnostic = Diagnostic(("stores", spec.store.key, "tests"), *problem)
            problems += locate_diagnostics(manifest.documents, [diagnostic])
            continue
        shown_name = os.path.join(os.path.dirname(manifest.documents.main.file_name), os.path.normpath(spec.tests))
        try:
            document = read_document(file, shown_name, sandbox, "question file")
            by_path[spec.tests] = parse_questions(document, load_schema("questions.schema.json"))
        except ManifestError as error:
            problems += error.problems
    found = ((spec.store.key, by_path.get(spec.tests)) for spec in manifest.stores)
    return {key: questions for key, questions in found if questions}, tuple(problems)


def _questions_problem(text: str, file: Path, sandbox: Sandbox) -> tuple[str, str] | None:
    """Why a file of questions cannot be read, and the way out; None where it can be tried."""
    if os.path.isabs(text) or "\0" in text:
        return f"`{text}` is not a relative path", "write it relative to the file that names it"
    if not sandbox.allows(file):
        return f"`{text}` lies outside of {sandbox.folders[0]}, or in its .git or .vssync", ALLOW_HINT
    if not file.is_file():
        kind = describe_path(file)
        what = f"`{text}` is {kind}" if kind else f"there is no file `{text}`"
        return what, "write it, or remove `tests`; paths start at this file"
    return None


def with_questions(desired: Desired, questions: Mapping[str, QuestionFile]) -> tuple[Desired, tuple[Problem, ...]]:
    """The desired state with the questions of its stores, and warnings of what cannot be answered as it is declared."""
    if not questions:
        return desired, ()
    has_questions = {key: file.questions for key, file in questions.items()}
    stores = tuple(replace(store, tests=has_questions.get(store.key)) for store in desired.stores)
    warnings: list[Problem] = []
    for store in stores:
        if store.tests:
            documents = Documents(questions[store.key].document)
            warnings += locate_diagnostics(documents, [*find_unanswerable(store.tests, store)])
    return replace(desired, stores=stores), tuple(warnings)
