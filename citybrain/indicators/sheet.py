"""Tables to take along, as CSV and as a workbook; and evaluation as one: a row for each that is counted, three columns
a rate."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import xlsxwriter

from citybrain.indicators.performance import RATES

CSV, XLSX = "text/csv; charset=utf-8", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
COUNTS = (("raw", "原始"), ("after_appeals", "申诉后"))
Cell = str | int | float | None


def rows(told: dict[str, Any]) -> Iterator[list[Cell]]:
    """The head, each item, and the total. Where there is nothing to divide by, a rate is empty, which is no zero."""
    head: list[Cell] = ["代码 code", "名称 name"]
    for _, kind in COUNTS:
        for rate in RATES:
            head += [f"{rate.name} {kind} 分子", f"{rate.name} {kind} 分母", f"{rate.name} {kind} %"]
    yield head
    for item in [*told["items"], told["total"] | {"code": "total", "name": "合计"}]:
        row: list[Cell] = [item["code"] or "", item["name"] or "未定位"]
        for kind, _ in COUNTS:
            for rate in RATES:
                row += [item[kind][rate.code][name] for name in ("numerator", "denominator", "percent")]
        yield row


def notes(told: dict[str, Any]) -> Iterator[list[Cell]]:
    """What the figures are: period, formulas, and which end of the clock counts."""
    yield ["期间 period", told["from"], told["to"]]
    yield ["时钟终点 clock end", told["clock_end"]["zh"], told["clock_end"]["en"]]
    for rate in RATES:
        yield [f"{rate.name} {rate.name_en}", rate.formula, rate.formula_en]


def as_csv(told: dict[str, Any]) -> bytes:
    return csv_of(rows(told))


def as_xlsx(told: dict[str, Any]) -> bytes:
    return xlsx_of({"综合评价": rows(told), "说明": notes(told)}, frozen=2)


def csv_of(table: Iterable[list[Cell]]) -> bytes:
    """With a byte order mark, without which Excel takes Chinese for something else."""
    out = io.StringIO()
    csv.writer(out).writerows(_safe(row) for row in table)
    return out.getvalue().encode("utf-8-sig")


def xlsx_of(sheets: Mapping[str, Iterable[list[Cell]]], frozen: int = 1) -> bytes:
    """A workbook with a sheet for each; the first one's head and its first columns stay in sight."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    bold = book.add_format({"bold": True, "text_wrap": True, "valign": "top"})
    for position, (name, table) in enumerate(sheets.items()):
        sheet = book.add_worksheet(name)
        for number, row in enumerate(table):
            sheet.write_row(number, 0, row, bold if number == position == 0 else None)
        if position == 0:
            sheet.freeze_panes(1, frozen)
            sheet.set_column(1, 1, 30)
        else:
            sheet.set_column(0, 0, 30)
            sheet.set_column(1, 2, 80)
    book.close()
    return out.getvalue()


def _safe(row: list[Cell]) -> list[Cell]:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return ["'" + cell if isinstance(cell, str) and cell[:1] in "=+-@\t\r" and cell else cell for cell in row]
