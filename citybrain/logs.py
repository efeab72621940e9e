"""One set-up of the log for every process: text for people, or a JSON object a line (CITYBRAIN_LOG=json).

What an exception says may quote a report, a name or a number: the log has what it is and where it was raised, and its
words only where they are the system's own. The whole trace of an event that failed stands with the event, for whoever
may read it.
"""

import logging
import sys
import threading
import traceback
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

import orjson

FIELDS = ("event", "events", "case", "delivery", "domain", "endpoint", "method", "path", "status", "ms")
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)


def set_up(part: str, form: str) -> None:
    """`part` names the process in each JSON line; `form` is `json` or anything else for text."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLine(part) if form == "json" else TextLine())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(True)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    logging.getLogger(ACCESS).setLevel(logging.INFO if form == "json" else logging.WARNING)
    sys.excepthook = _unforeseen
    threading.excepthook = lambda args: _unforeseen(args.exc_type, args.exc_value, args.exc_traceback)


ACCESS = "citybrain.access"  # a line a request: for machines, people at a terminal would see nothing else


class TextLine(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        record.exc_text = None  # another formatter's
        text = super().format(record)
        record.exc_text = None
        return text

    def formatMessage(self, record: logging.LogRecord) -> str:
        record.message = _message(record)
        under = request_id.get()
        return super().formatMessage(record) + (f" [request {under}]" if under else "")

    def formatException(self, given: Any) -> str:
        return "\n".join(["Traceback, without what was said:", *_told(given[1])])


class JsonLine(logging.Formatter):
    def __init__(self, part: str) -> None:
        super().__init__()
        self._part = part

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "part": self._part,
            "pid": record.process,
            "logger": record.name,
            "message": _message(record),
        }
        if under := request_id.get():
            line["request"] = under
        line |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info and record.exc_info[1]:
            line["trace"] = _told(record.exc_info[1])
        return orjson.dumps(line, default=str).decode()


def _message(record: logging.LogRecord) -> str:
    """asyncio tells of a task by its repr, which has the exception's words."""
    text = record.getMessage()
    return text.partition("\n")[0] if record.name == "asyncio" else text


def _told(error: BaseException | None) -> list[str]:
    """What was raised and where, the cause first, as Python tells it, without its words."""
    return list(_lines(error, set())) if error else []


def _lines(error: BaseException, seen: set[int]) -> Iterator[str]:
    seen.add(id(error))
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None and id(before) not in seen:
        yield from _lines(before, seen)
        yield "and then:"
    for frame, line in traceback.walk_tb(error.__traceback__):
        yield f"  {frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
    words = str(error) if isinstance(error, OSError) or getattr(error, "quotes_nothing", False) else ""
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    yield f"{kind}: {words}" if words else kind
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _lines(each, seen)


def _unforeseen(kind: type[BaseException], error: BaseException | None, trace: TracebackType | None) -> None:
    if error is None or issubclass(kind, KeyboardInterrupt):
        return
    logging.getLogger("citybrain").critical("an unforeseen end", exc_info=(kind, error, trace))
