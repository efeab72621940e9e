"""`make bench-codecs`: how many frames of device protocols a core cuts from a stream, checks, reads and describes.

No maintained library on PyPI reads these protocols, so that nothing stands beside the figures.
"""

import time
from datetime import UTC
from statistics import median

from citybrain.codec import Codec, Frames
from citybrain.domain import find_codec
from domains.environment import hj212
from domains.fire import gb26875
from domains.water import sl651

ROUNDS, SECONDS, TOGETHER = 5, 0.4, 200
FACTORS = ("w00000", "w01001", "w01018", "w21003", "w21011", "w21001")
HEADER = {"QN": "20240301080000001", "ST": "32", "CN": "2061", "PW": "123456", "MN": "010000A8900016F000169DC0"}
REPORT = "0007240301080005 F1F10012345678 48 F0F02403010800 392300028960 2019000055 2619003196 38121208"
COMPONENT = "0201 0103280A000200 0300" + "一层走廊".encode("gb18030").ljust(31, b"\0").hex() + "001D08010318"


def hourly() -> bytes:
    means = tuple(
        (*((f"{code}-{what}", "16.40") for what in ("Cou", "Min", "Avg", "Max")), (f"{code}-Flag", "N"))
        for code in FACTORS
    )
    data = ((("DataTime", "20240301070000"),), *means)
    return hj212.encode(hj212.Segment((*HEADER.items(), ("Flag", "5")), data))


def extra_report() -> bytes:
    return sl651.encode(sl651.Message("hexadecimal", False, 1, "0012345678", 0, 0x33, bytes.fromhex(REPORT)))


def fire() -> bytes:
    return gb26875.encode(gb26875.Packet(7, (1, 1), bytes(3) + b"\1\1\x18", 889, 1, 2, bytes.fromhex(COMPONENT)))


def rate(codec: Codec, frame: bytes) -> float:
    """Frames a second of the processor."""
    count, stream, begun = 0, frame * TOGETHER, time.process_time()
    while (taken := time.process_time() - begun) < SECONDS:
        for found in Frames(codec).feed(stream):
            codec.describe(found.frame, UTC)
            count += 1
    return count / taken


def main() -> None:
    frames = {"hj212": hourly(), "sl651": extra_report(), "gb26875": fire()}
    codecs = {name: find_codec(name) for name in frames}
    rates = {name: [0.0] * ROUNDS for name in frames}
    for turn in range(ROUNDS):
        for name, frame in frames.items():
            rates[name][turn] = rate(codecs[name], frame)
    print("| protocol | bytes a frame | frames a second of a core |\n|---|---|---|")
    for name, frame in frames.items():
        print(f"| {name} | {len(frame)} | {median(rates[name]):,.0f} |")


if __name__ == "__main__":
    main()
