"""Coverage computed once more, slowly and on its own: plain loops over an export of the tables, no line of the service.

    python tests/independent/coverage_by_hand.py EXPORT PACK LEVEL [DIVISION] [AT_MS]

EXPORT is a folder with a JSON list of rows a table (`cases.json`, …, as `export` writes it from a SQLite store), PACK
the city pack's folder. Prints total, declared and earned.
"""

import csv
import json
import sqlite3
import sys
import tomllib
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

TABLES = (
    "cases", "work_orders", "feedbacks", "deliveries", "attempts", "endpoints", "keys", "ledger", "declarations",
    "domain_activity",
)  # fmt: skip
PUBLIC_OF_KEYS = "name, role, demo"
DAY = 24 * 3600 * 1000


def export(database: Path, folder: Path) -> None:
    connection = sqlite3.connect(database)
    connection.row_factory = sqlite3.Row
    folder.mkdir(exist_ok=True)
    for table in TABLES:
        columns = PUBLIC_OF_KEYS if table == "keys" else "*"
        rows = [dict(row) for row in connection.execute(f"SELECT {columns} FROM {table}")]  # noqa: S608 - names above
        (folder / f"{table}.json").write_text(json.dumps(rows, ensure_ascii=False))
    connection.close()


class ByHand:
    def __init__(self, folder: Path, pack: Path) -> None:
        for table in TABLES:
            setattr(self, table, json.loads((folder / f"{table}.json").read_text()))
        self.registry = tomllib.loads((pack / "industries.toml").read_text(encoding="utf-8"))
        self.city = tomllib.loads((pack / "city.toml").read_text(encoding="utf-8"))
        self.zone = ZoneInfo(self.city["city"]["timezone"])
        self.window = self.city["coverage"]["window_days"] * DAY
        with (pack / "divisions.csv").open(encoding="utf-8-sig", newline="") as lines:
            self.divisions = {row["code"]: row for row in csv.DictReader(lines)}
        self.domains_of = {each["code"]: each["domains"] for each in self.registry["industry"]}
        self.case_of_order = {row["id"]: row["case_id"] for row in self.work_orders}
        self.case_of_delivery = {row["id"]: row for row in self.deliveries}
        self.demo_endpoint = {row["id"]: row["demo"] for row in self.endpoints}
        self.key = {row["name"]: row for row in self.keys}

    def figures(self, level, division, at, basis="union", include_demo=False):
        """(total, declared, earned)"""
        industries = next(each["industries"] for each in self.registry["basis"] if each["code"] == basis)
        wanted = [code for code, row in self.divisions.items() if row["level"] == level and self.inside(code, division)]
        if self.day(at) < self.registry["registry"]["begins"].isoformat():
            return 0, 0, 0
        declared = earned = 0
        proven = self.proven(level, at, include_demo)
        for code in wanted:
            for industry in industries:
                declared += self.is_declared(code, level, industry, at)
                earned += any((code, domain) in proven for domain in self.domains_of[industry])
        return len(wanted) * len(industries), declared, earned

    def inside(self, code, division):
        while code in self.divisions:
            if division in (None, code):
                return True
            code = self.divisions[code]["parent_code"]
        return False

    def day(self, at):
        return datetime.fromtimestamp(at / 1000, self.zone).date().isoformat()

    def is_declared(self, code, level, industry, at):
        today = self.day(at)
        for each in self.registry["industry"]:
            if each["code"] == industry:
                for row in each.get("declared", []):
                    end = row.get("to", date.max).isoformat()
                    there = row["divisions"] == "all" or code in row["divisions"]
                    if row["level"] == level and there and row["from"].isoformat() <= today <= end:
                        return True
        for row in self.declarations:
            there = row["divisions"] is None or code in json.loads(row["divisions"])
            if not there or (row["industry"], row["level"]) != (industry, level):
                continue
            if row["from_day"] <= today <= (row["to_day"] or "9999"):
                return True
        return False

    def proven(self, level, at, include_demo):
        """The (division, domain) that a case proves at that moment."""
        found = set()
        told, sent, passed = self.told(at, include_demo), self.sent(at, include_demo), self.passed(at, include_demo)
        for case in self.cases:
            if case["demo"] and not include_demo:
                continue
            if case["id"] not in told or case["id"] not in sent:
                continue
            if level == "village" and case["id"] not in passed:
                continue
            if not self.at_work(case["domain"], at):
                continue
            place = self.place(case, at)
            if level == "city" and any(place[each] for each in ("county", "town", "village")):
                found.add((self.city["city"]["code"], case["domain"]))
            elif level != "city" and place[level]:
                found.add((place[level], case["domain"]))
        return found

    def in_window(self, moment, at):
        return at - self.window < moment <= at

    def told(self, at, include_demo):
        found = set()
        for row in self.feedbacks:
            demo = self.key.get(row["actor"], {}).get("demo")
            if demo and not include_demo:
                continue
            if row["status"] == "completed" and row["effect"] and self.in_window(row["received_at"], at):
                found.add(self.case_of_order[row["work_order_id"]])
        return found

    def sent(self, at, include_demo):
        found = set()
        for row in self.attempts:
            delivery = self.case_of_delivery[row["delivery_id"]]
            answered = row["at"] + row["duration_ms"]
            if self.demo_endpoint.get(delivery["endpoint_id"]) and not include_demo:
                continue
            if row["status"] is not None and 200 <= row["status"] < 300 and self.in_window(answered, at):
                found.add(delivery["case_id"])
        return found

    def passed(self, at, include_demo):
        found = set()
        for row in self.ledger:
            if row["action"] == "verified" and json.loads(row["data"])["passed"] and self.in_window(row["at"], at):
                key = self.key.get(row["actor"])
                if key and key["role"] == "worker" and (include_demo or not key["demo"]):
                    found.add(row["chain"])
        return found

    def at_work(self, domain, at):
        if not self.domain_activity:
            return True
        for row in self.domain_activity:
            if row["domain"] == domain and row["from_at"] <= at and (row["until_at"] is None or at < row["until_at"]):
                return True
        return False

    def place(self, case, at):
        """Where the case was located then: before the first relocation that came later."""
        later = [
            row for row in self.ledger
            if row["chain"] == case["id"] and row["action"] == "relocated" and row["at"] > at
        ]  # fmt: skip
        if not later:
            return case
        first = min(later, key=lambda row: (row["at"], row["seq"]))
        return json.loads(first["data"])["before"]


if __name__ == "__main__":
    _, folder, pack, level, *rest = sys.argv
    now = int(datetime.now().timestamp() * 1000)
    division, at = (rest[0] or None if rest else None), (int(rest[1]) if rest[1:] else now)
    print(*ByHand(Path(folder), Path(pack)).figures(level, division, at))
