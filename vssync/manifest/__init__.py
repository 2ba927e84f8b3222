"""The manifest: text in, desired state out. Pure: `sources` reads files, walks folders and hands them in.

parse, checked    YAML or JSON text -> Document, with the form the schema demands
includes, build   Documents -> Manifest, for one environment
choose            Manifest and Listing -> which files, under which levels
resolve           and what was read of them -> Desired
places            paths of a manifest -> file, line, column
"""

from vssync.manifest.build import build, checked, includes
from vssync.manifest.choose import Choice, Chosen, choose
from vssync.manifest.faults import Fault, Path, alongside
from vssync.manifest.filenames import upload_digest
from vssync.manifest.front_matter import LONGEST, front_matter
from vssync.manifest.globs import Pattern, compiled, flaw
from vssync.manifest.listing import Found, Listing
from vssync.manifest.places import Documents, Place, places, problems
from vssync.manifest.provenance import lifted, provenance
from vssync.manifest.rendered import rendered
from vssync.manifest.resolve import Reading, resolve, wanted
from vssync.manifest.spec import Manifest
from vssync.manifest.tree import Document, parse

__all__ = [
    "LONGEST",
    "Choice",
    "Chosen",
    "Document",
    "Documents",
    "Fault",
    "Found",
    "Listing",
    "Manifest",
    "Path",
    "Pattern",
    "Place",
    "Reading",
    "alongside",
    "build",
    "checked",
    "choose",
    "compiled",
    "flaw",
    "front_matter",
    "includes",
    "lifted",
    "parse",
    "places",
    "problems",
    "provenance",
    "rendered",
    "resolve",
    "upload_digest",
    "wanted",
]
