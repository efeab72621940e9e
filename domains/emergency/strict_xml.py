"""XML as strangers send it: no document type and so no entities, nothing fetched, neither too large nor too deep nor
too many parts, and every element with where it stands. Nothing here knows what the XML is about."""

import codecs
import re
from dataclasses import dataclass, field
from typing import NoReturn
from xml.parsers import expat

from citybrain.codec import Refused

MAX_BYTES = 16 * 1024 * 1024
MAX_DEPTH = 32
MAX_PARTS = 100_000  # elements and attributes
SHOWN = 60
MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}
# By the name in the declaration. Chinese senders name subsets of what they write: GB 18030 contains them.
ENCODINGS = dict.fromkeys(("gb2312", "gbk", "gb18030", "cp936"), "gb18030") | {
    name: name for name in ("utf-8", "us-ascii", "iso-8859-1", "iso-8859-15", "windows-1252", "big5")
}  # fmt: skip
_DECLARED = re.compile(rb"""<\?xml[^>]{0,100}?\sencoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")


class XmlError(Refused):
    """What is refused, and where: `offset` in bytes of what was sent, `line` from 1."""

    def __init__(self, message: str, offset: int, line: int) -> None:
        super().__init__(message, offset)
        self.line = line


@dataclass(slots=True)
class Element:
    """`name` without its prefix: senders use wrong namespaces. `at` is where it begins, in the document's own count."""

    name: str
    at: int
    line: int
    namespace: str | None = None
    texts: list[str] = field(default_factory=list)
    children: list["Element"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.texts).strip()


class Document:
    """`root` of what was sent; raises XmlError."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BYTES:
            raise XmlError(f"more than {MAX_BYTES} bytes", MAX_BYTES, 1)
        self._codec, mark = _codec(data)
        # Before the declaration nothing may be; senders have empty lines there.
        rest = data[mark:] if self._codec.startswith("utf-16") else data[mark:].lstrip()
        self._begin = len(data) - len(rest)
        self._lines = data[: self._begin].count(b"\n")
        try:
            self._utf8 = rest if self._codec == "utf-8" else rest.decode(self._codec).encode()
        except UnicodeDecodeError as error:
            at = self._begin + error.start
            raise XmlError(f"it is not written in {self._codec}", at, data[:at].count(b"\n") + 1) from None
        self.root = self._read()

    def error(self, element: Element, message: str) -> XmlError:
        return self._error(message, element.at, element.line)

    def _error(self, message: str, at: int, line: int) -> XmlError:
        """`at` counts bytes of UTF-8; told is where that was in what was sent."""
        if self._codec != "utf-8":
            at = len(self._utf8[:at].decode(errors="ignore").encode(self._codec, errors="replace"))
        return XmlError(message, self._begin + max(at, 0), self._lines + line)

    def _read(self) -> Element:
        parser = expat.ParserCreate("utf-8")
        parser.buffer_text = True
        top = Element("", 0, 0)
        path, parts = [top], 0

        def refuse(message: str) -> NoReturn:
            raise self._error(message, parser.CurrentByteIndex, parser.CurrentLineNumber)

        def start(tag: str, attributes: dict[str, str]) -> None:
            nonlocal parts
            parts += 1 + len(attributes)
            if parts > MAX_PARTS:
                refuse(f"more than {MAX_PARTS} elements and attributes")
            if len(path) > MAX_DEPTH:
                refuse(f"elements nested deeper than {MAX_DEPTH}")
            prefix, colon, name = tag.rpartition(":")
            namespace = attributes.get(f"xmlns{colon}{prefix}")
            element = Element(name, parser.CurrentByteIndex, parser.CurrentLineNumber, namespace)
            path[-1].children.append(element)
            path.append(element)

        def end(_tag: str) -> None:
            path.pop()

        def text(part: str) -> None:
            path[-1].texts.append(part)

        def doctype(*_given: object) -> None:
            refuse("a document type (<!DOCTYPE …>), which is not read: leave it out")

        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.CharacterDataHandler, parser.StartDoctypeDeclHandler = text, doctype
        try:
            parser.Parse(self._utf8, True)
        except expat.ExpatError as error:
            reason = expat.ErrorString(error.code)
            raise self._error(f"not well-formed XML: {reason}", parser.ErrorByteIndex, error.lineno) from None
        return top.children[0]


def _codec(data: bytes) -> tuple[str, int]:
    """How it is written, and how long the mark that says so is: a mark before the declaration, else UTF-8."""
    for mark, codec in MARKS.items():
        if data.startswith(mark):
            return codec, len(mark)
    declared = _DECLARED.match(data.lstrip()[:200])
    name = declared[1].decode().lower() if declared else "utf-8"
    try:
        return ENCODINGS[name.replace("_", "-")], 0
    except KeyError:
        known = ", ".join(sorted(ENCODINGS))
        at = data.find(declared[1]) if declared else 0
        raise XmlError(f"encoding {name[:SHOWN]!r} is not read: one of {known}", at, 1) from None
