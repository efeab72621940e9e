"""Facts about `citybrain decode`: files of frames become a JSON object a line, and whatever is in them ends well."""

import io
import json
import tracemalloc
from datetime import UTC
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from citybrain.__main__ import main
from citybrain.codec import Codec
from citybrain.commands.decode import decode
from citybrain.domain import NoCodec, find_codec

GOOD = "##0101QN=20160801085857223;ST=32;CN=1062;PW=100000;MN=010000A8900016F000169DC0;Flag=5;CP=&&RtdInterval=30&&1C80"
BAD = GOOD.replace("1C80", "1C81")


def run(protocol: str, data: bytes, *, folder: Path | None = None) -> tuple[int, list[dict[str, Any]], str]:
    """By standard input, or by a file in the folder; the exit code, the objects, what was said."""
    name = "-"
    if folder:
        (folder / "frames").write_bytes(data)
        name = str(folder / "frames")
    result = CliRunner().invoke(main, ["decode", protocol, name], input=data)
    return result.exit_code, [json.loads(line) for line in result.stdout.splitlines()], result.stderr


def test_every_line_is_an_object_and_a_refused_one_says_why_and_where(tmp_path: Path) -> None:
    data = f"{GOOD}\r\n\r\n{BAD}\n{GOOD}".encode()
    for folder in (None, tmp_path):
        code, found, said = run("hj212", data, folder=folder)
        assert code == 1
        assert [each.get("cn") for each in found] == ["1062", None, "1062"]
        assert found[1] == {"error": "CRC 1C80 expected, found 1C81", "offset": 107, "line": 3}
        assert "2 frames, 1 refused, the first in line 3" in said


def test_all_frames_good_is_exit_code_0_and_nothing_is_an_empty_answer() -> None:
    assert run("hj212", GOOD.encode())[0] == 0
    assert run("hj212", b"") == (0, [], "0 frames\n")


def test_what_stands_before_a_frame_in_its_line_is_skipped_and_told() -> None:
    code, found, said = run("hj212", f"2024-03-01 08:00 received:\t{GOOD}\n".encode())
    assert (code, found[0]["skipped"]) == (0, 26)
    assert "26 bytes of garbage skipped" in said


def test_a_line_without_a_frame_is_refused_once() -> None:
    code, found, _ = run("hj212", b"nothing of the kind\n")
    assert (code, found) == (1, [{"error": "no frame in this line, ## expected", "offset": 0, "line": 1}])


def test_two_frames_in_a_line_are_both_found_and_of_broken_ones_the_first_is_told() -> None:
    _, found, _ = run("hj212", f"{GOOD}\r\n".encode() + f"{BAD[:60]}{BAD[:70]}\n".encode())
    assert ["error" in each for each in found] == [False, True]


def test_a_line_longer_than_any_frame_is_refused_without_being_held() -> None:
    class Endless(io.RawIOBase):
        left = 64 << 20

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            size = min(len(buffer), self.left)
            buffer[:size] = b"#" * size
            self.left -= size
            return size

    found: list[dict[str, Any]] = []
    codec = find_codec("hj212")
    tracemalloc.start()
    tally = decode(codec, io.BufferedReader(Endless()), UTC, found.append)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (tally.refused, found[0]["line"], found[0]["offset"]) == (1, 1, 4 * codec.longest)
    assert peak < 4 << 20


ALERT = (
    '<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>1</identifier><sender>qx@gd</sender>'
    "<sent>2024-03-01T08:00:00+08:00</sent><status>Actual</status><msgType>Alert</msgType><scope>Public</scope></alert>"
)


def test_an_alert_is_a_file_or_a_line_and_an_error_names_its_line() -> None:
    spread = ALERT.replace("><", ">\n<")
    for data, lines in ((ALERT, [None]), (spread, [None]), (f"{ALERT}\n\n{ALERT}\n<a/>\n", [None, None, 4])):
        _, found, _ = run("cap", data.encode())
        assert [each.get("line") for each in found] == lines
        assert (found[0]["device_id"], found[0]["observed_at"]) == ("qx@gd", "2024-03-01T08:00:00+08:00")
    (refused,) = run("cap", spread.replace("Public", "Everybody").encode())[1]
    assert (refused["line"], refused["offset"]) == (7, spread.index("<scope>"))
    assert run("cap", b"")[1][0]["offset"] == 0


HEXADECIMAL = {
    "sl651": "7E7E 01 0012345678 A1B2 2F 0008 02 0007240301080005 03 {sum}",
    "gb26875": "4040 0700 0101 051E08010318 790300000000 385B01000000 0000 02 {sum} 2323",
}


@pytest.mark.parametrize(("protocol", "digits"), [("sl651", "7189"), ("gb26875", "62")])
def test_binary_protocols_are_hexadecimal_a_line_or_their_own_bytes(protocol: str, digits: str, tmp_path: Path) -> None:
    text = HEXADECIMAL[protocol].format(sum=digits)
    good = bytes.fromhex(text)
    lines = ["\ufeff# a remark", "timed\t" + text.lower(), text.replace(" ", ""), text + "0", "zz", text[:-9]]
    code, found, said = run(protocol, "\r\n".join(lines).encode(), folder=tmp_path)
    assert (code, ["error" in each for each in found]) == (1, [False, False, True, True, True])
    assert [each["line"] for each in found[2:]] == [4, 5, 6]
    assert "2 frames, 3 refused" in said
    code, found, said = run(protocol, b"\x00\xffnoise" + good + b"\r\n" + good[:-1] + good, folder=tmp_path)
    assert [each.get("byte") for each in found] == [None, 7 + len(good) + 2, None]
    assert (code, found[0]["skipped"], found[0]["protocol"]) == (1, 6, protocol)


def test_a_protocol_that_nobody_has_is_told_with_those_that_there_are() -> None:
    code, _, said = run("hj221", b"")
    assert code == 1
    assert "hj212" in said
    assert "did you mean hj212?" in said


def test_times_are_in_the_zone_of_the_city(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CITYBRAIN_CITY", str(Path(__file__).parents[1] / "cities" / "baltimore"))
    assert run("hj212", GOOD.encode())[1][0]["sent_at"] == "2016-08-01T08:58:57.223-04:00"
    monkeypatch.setenv("CITYBRAIN_CITY", str(tmp_path))
    assert "city.toml" in run("hj212", GOOD.encode())[2]


def test_a_domain_from_anywhere_brings_its_codec(tmp_path: Path) -> None:
    folder = tmp_path / "metro"
    folder.mkdir()
    (folder / "domain.toml").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "doors.py").write_text(
        "from citybrain.codec import Codec\n"
        "CODEC = Codec((b'D',), 2, lambda start: 2, lambda frame: frame, lambda frame, zone: {}, 'line')\n"
    )
    assert isinstance(find_codec("doors", {"CITYBRAIN_DOMAINS": str(folder)}), Codec)
    (folder / "gates.py").write_text("import no_such_module_at_all")
    with pytest.raises(NoCodec, match=r"gates.py cannot be imported"):
        find_codec("gates", {"CITYBRAIN_DOMAINS": str(folder)})
    with pytest.raises(NoCodec, match=r"there are .*doors"):
        find_codec("handler", {"CITYBRAIN_DOMAINS": str(folder)})
