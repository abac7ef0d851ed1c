#!/usr/bin/env python3
"""A preprocessor of mdBook: $…$ and $$…$$, as GitHub reads them, become what MathJax reads, safe from Markdown."""

import json
import re
import sys

# Code is found too, so that dollars in it are left alone.
PIECES = re.compile(r"(?s)```.*?```|`[^`\n]*`|\$\$(.+?)\$\$|\$([^$\n]+?(?:\n[^$\n]+?)?)\$")


def escape(tex):
    return re.sub(r"([\\`*_{}\[\]()<>#+.!|&~-])", r"\\\1", tex)


def convert(match):
    display, inline = match.groups()
    if display:
        return escape(f"\\[{display}\\]")
    return escape(f"\\({inline}\\)") if inline else match.group()


def walk(items):
    for item in items:
        if isinstance(item, dict) and "Chapter" in item:
            chapter = item["Chapter"]
            chapter["content"] = PIECES.sub(convert, chapter["content"])
            walk(chapter["sub_items"])


if len(sys.argv) > 2 and sys.argv[1] == "supports":
    sys.exit(0 if sys.argv[2] == "html" else 1)
_, book = json.load(sys.stdin)
walk(book.get("sections") or book.get("items"))
json.dump(book, sys.stdout)
