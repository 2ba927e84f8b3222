"""Plans, reports and search results as text, Markdown and JSON: values in, a string out.

A renderer decides nothing and reads nothing: no clock, no terminal, no environment. What a terminal can do comes in
the `View`. No output ends in a newline, and none can steer the terminal or the CI runner that shows it.
"""

from vssync.render.found import search_json, search_text
from vssync.render.inspected import Inspection, LiveCopy, inspection_text
from vssync.render.machine import plan_gitlab, plan_json, report_json
from vssync.render.markdown import plan_markdown, report_markdown
from vssync.render.offline import offline_json, offline_markdown, offline_text
from vssync.render.reported import already_text, report_text
from vssync.render.text import plan_text, status_text
from vssync.render.underway import Underway, batches_json, batches_text
from vssync.render.view import View
from vssync.render.words import clean, elapsed, heading, number, size

__all__ = [
    "Inspection",
    "LiveCopy",
    "Underway",
    "View",
    "already_text",
    "batches_json",
    "batches_text",
    "clean",
    "elapsed",
    "heading",
    "inspection_text",
    "number",
    "offline_json",
    "offline_markdown",
    "offline_text",
    "plan_gitlab",
    "plan_json",
    "plan_markdown",
    "plan_text",
    "report_json",
    "report_markdown",
    "report_text",
    "search_json",
    "search_text",
    "size",
    "status_text",
]
