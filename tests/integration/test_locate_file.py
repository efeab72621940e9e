"""`citybrain locate --csv` places a file of any size line by line; what is wrong with one line is said in that line."""

import csv
import io
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO, Any, cast

import pytest
from desk import Desk
from serving import Service

from citybrain.commands.locate import LINES, CsvRefused, Table, locate_csv

POINTS = """\
编号,X,Y,误差,备注
1,116.1222,24.2886,,"a, b"
2,116.1222,24.2886,5000,wide
3,,,,empty
4,24.2886,116.1222,,exchanged
5,0,0,,null island
6,113.26,23.13,,another city
7,116.1222
8,116.1222,24.2886,,x,too many
9,116.1x,24.2886,,no number
10,inf,24.2886,,
"""


@pytest.fixture(scope="module")
def placed(shared_service: Service, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    folder = tmp_path_factory.mktemp("csv")
    (folder / "points.csv").write_text(POINTS, encoding="gb18030")
    done = shared_service.command(
        "locate", "--csv", str(folder / "points.csv"), "--to", str(folder / "placed.csv"), "--lng", "x", "--lat", "Y",
        "--accuracy-column", "误差", "--encoding", "gb18030",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "10 lines: problem 7, contains 2, outside 1" in done.stderr
    assert [each.name for each in folder.iterdir() if each.suffix == ".part"] == []
    with (folder / "placed.csv").open(encoding="utf-8", newline="") as lines:
        return {row["编号"]: row for row in csv.DictReader(lines)}


def test_each_line_has_its_place_beside_what_it_had(placed: Any, shared_service: Service) -> None:
    place = shared_service.get("/api/v1/locate?lng=116.1222&lat=24.2886")
    assert placed["1"] == {
        "编号": "1", "X": "116.1222", "Y": "24.2886", "误差": "", "备注": "a, b",
        **{f"place_{level}": place[level]["code"] for level in ("county", "town", "village", "cell")},
        "place_method": "contains", "place_near_edge": "0", "place_problem": "",
    }  # fmt: skip
    assert placed["2"]["place_near_edge"] == "1"
    assert (placed["6"]["place_method"], placed["6"]["place_county"]) == ("outside", "")


def test_a_line_that_cannot_be_placed_says_why_and_the_others_are(placed: Any) -> None:
    reasons = {"3": "no numbers", "4": "only when exchanged", "5": "(0, 0)", "7": "2 fields, the first line has 5",
               "8": "6 fields", "9": "no numbers", "10": "no numbers"}  # fmt: skip
    for number, reason in reasons.items():
        assert reason in placed[number]["place_problem"]
        assert placed[number]["place_method"] == placed[number]["place_county"] == ""


@pytest.mark.parametrize(
    ("options", "text", "reason"),
    [
        ({}, "a,b\n1,2\n", "name it by --lng"),
        ({"lng": "ln"}, "lnq,lat\n", "did you mean lnq?"),
        ({}, "", "name it by --lng"),
        ({}, 'lng,lat\n1,"2\n', "line 2"),
        ({}, "lng,lat,place_county\n", "--prefix"),
        ({"datum": "mars"}, "lng,lat\n", "unknown datum"),
        ({"encoding": "klingon"}, "lng,lat\n", "klingon"),
        ({"encoding": "ascii"}, "经度,纬度\n", "--encoding"),
        ({"delimiter": "::"}, "lng,lat\n", "--delimiter"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_and_nothing_is_written(
    desk: Desk, tmp_path: Path, options: dict[str, str], text: str, reason: str
) -> None:
    folder = tmp_path / "csv"
    folder.mkdir()
    (folder / "in.csv").write_text(text, encoding="utf-8")
    (folder / "out.csv").write_text("before")
    with pytest.raises(CsvRefused, match=re.escape(reason)):
        locate_csv(Table(str(folder / "in.csv"), str(folder / "out.csv"), **options), desk.here)
    assert (folder / "out.csv").read_text() == "before"
    assert len(list(folder.iterdir())) == 2


def test_a_stream_is_answered_while_it_comes(shared_service: Service) -> None:
    """So memory does not grow with the file: a million lines took 387 MB, ten took 355."""
    argv = [sys.executable, "-m", "citybrain", "locate", "--csv", "-"]
    with subprocess.Popen(
        argv, env=shared_service.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        to, told = cast(IO[str], running.stdin), cast(IO[str], running.stdout)

        def send() -> None:
            to.write("lat,lng\n" + "24.2886,116.1222\n" * (LINES + 1_000))
            to.flush()

        sending = threading.Thread(target=send)
        sending.start()
        first = [told.readline() for _ in range(1 + LINES)]
        sending.join()
        assert running.poll() is None, "it waits for more"
        to.close()
        rest = told.read().splitlines()
    assert running.returncode == 0
    assert len(rest) == 1_000
    assert {row["place_county"] for row in csv.DictReader(io.StringIO("".join(first)))} == {"441402"}
