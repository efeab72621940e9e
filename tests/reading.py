"""What a person reads on a page that came by HTTP: its text without the marks, and rows of its tables."""

import html
import re


def text_of(page: str) -> str:
    """The body's text, its white space as one blank."""
    body = page[page.index("<main") :]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def row_of(page: str, name: str) -> str:
    """The text of the one table row whose heading begins with this name."""
    rows = [text_of("<main" + each) for each in page.split("<tr")[1:] if _heading(each).startswith(name)]
    assert len(rows) == 1, (name, rows)
    return rows[0]


def _heading(row: str) -> str:
    found = re.search(r'<th scope="row">(.*?)</th>', row, re.DOTALL)
    return text_of("<main>" + found[1]) if found else ""
