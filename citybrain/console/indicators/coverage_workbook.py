"""The coverage page to take along: the figure with its formula, each industry with its evidence and what is missing,
every division, every day; with the question and the scope of the page that was open."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from fastapi import Query, Response

from citybrain.access import Here
from citybrain.console.door import Visitor, page_routes
from citybrain.console.indicators.coverage_ladder import level_name
from citybrain.console.indicators.coveragepage import Asked, Table, told_of
from citybrain.console.texts import language, listed, named, t
from citybrain.console.workbench.exporting import attached
from citybrain.indicators.scope import Scope
from citybrain.indicators.sheet import XLSX, Cell, xlsx_of
from citybrain.keys import May

routes = page_routes()

Rows = Iterator[list[Cell]]


@routes.get("/exports/coverage.xlsx")
def workbook(key: Visitor, here: Here, asked: Annotated[Asked, Query()]) -> Response:
    key.require(May.INDICATORS)
    told = told_of(key, here, asked, whole=True)
    shown, table = told["shown"], told["table"]
    sheets: dict[str, Rows] = {
        t("coverage.title"): _figure(shown, told["own"].name, level_name(here.city, shown["level"]), str(told["day"])),
        t("coverage.industries"): _industries(shown, told["scope"]),
    }
    if table:
        sheets[t("coverage.division")] = _divisions(table)
    sheets[t("coverage.history")] = _history(told["history"])
    return attached(xlsx_of(sheets), XLSX, f"coverage-{told['own'].code}-{shown['level']}-{told['day']}.xlsx")


def _figure(shown: Mapping[str, Any], where: str, level: str, day: str) -> Rows:
    yield [t("coverage.division"), where]
    yield [t("coverage.levels"), level]
    yield [t("coverage.date"), day]
    yield [t("coverage.basis"), named(shown["basis"]), shown["basis"]["source"]]
    yield [t("coverage.denominator"), shown["total"]]
    for name in ("earned", "declared"):
        yield [t(f"coverage.{name}"), shown[name]["covered"]]
        yield [f"{t(f'coverage.{name}')} %", _percent(shown[name])]
    yield [t("coverage.formula_head"), t("coverage.formula")]
    yield [t("coverage.declared"), t("coverage.declared_is")]
    is_ = "earned_is_village" if shown["level"] == "village" else "earned_is"
    yield [t("coverage.earned"), t(f"coverage.{is_}", days=shown["window_days"])]
    yield ["", t("coverage.demo_in") if shown["include_demo"] else t("coverage.demo_out")]
    if shown["projected"]:
        yield ["", t("coverage.projected", day=day)]
    if shown["earned"]["percent"] is None:
        yield ["", t("coverage.no_data_record", begins=shown["record_begins"][:10], day=shown["at"][:10])]


def _industries(shown: Mapping[str, Any], scope: Scope) -> Rows:
    heads = ("industry", "declared", "earned", "evidence", "division", "delivery", "feedback", "verification",
             "valid_until", "why_not")  # fmt: skip
    yield [t(f"coverage.{name}") for name in heads]
    recorded = shown["earned"]["percent"] is not None
    for each in shown["industries"]:
        declared, earned = int(each["declared"]), int(each["earned"]) if recorded else None
        yield [named(each), declared, earned, *_evidence(each["evidence"]), _missing(each["missing"], scope, recorded)]


def _evidence(proof: Mapping[str, Any]) -> list[Cell]:
    if not proof or "withheld" in proof:
        return [t("coverage.withheld") if proof else None, *[None] * 5]
    passed = proof["verification"]
    return [
        proof["case"]["number"],
        proof["division"]["name"],
        f"{proof['delivery']['at']} {proof['delivery']['endpoint']}",
        f"{proof['feedback']['at']} {proof['feedback']['by']}",
        f"{passed['at']} {passed['by']}" if passed else None,
        proof["until"],
    ]


def _missing(missing: list[dict[str, Any]], scope: Scope, recorded: bool) -> str:
    """As the page says it: of a time without a ledger only what needs none."""
    told = [each for each in missing if recorded or each["code"] in ("not_declared", "no_domain")]
    text = "text_en" if language.get() == "en" else "text"
    many = ("" if scope.single else t("coverage.in_divisions", n=each["divisions"]) for each in told)
    return listed(each[text] + how_many for each, how_many in zip(told, many, strict=True))


def _divisions(table: Table) -> Rows:
    yield [t("coverage.code"), t("coverage.division"), t("coverage.within"), *_heads()]
    for row in table.rows:
        yield [row.division.code, row.division.name, row.within, *_cells(row.figure)]


def _history(history: list[dict[str, Any]]) -> Rows:
    yield [t("coverage.date"), *_heads(), ""]
    for each in history:
        yield [each["day"], *_cells(each), t("coverage.some_future") if each["projected"] else None]


def _heads() -> list[Cell]:
    names = (t("coverage.earned"), t("coverage.declared"))
    return [t("coverage.all_items"), *(head for name in names for head in (name, f"{name} %"))]


def _cells(figure: Mapping[str, Any]) -> list[Cell]:
    pairs = ((_covered(figure[name]), _percent(figure[name])) for name in ("earned", "declared"))
    return [figure["total"], *(cell for pair in pairs for cell in pair)]


def _covered(figure: Mapping[str, Any]) -> Cell:
    """No data is no zero: an empty cell."""
    return figure["covered"] if figure["percent"] is not None else None


def _percent(figure: Mapping[str, Any]) -> Cell:
    percent: float | None = figure["percent"]
    return percent
