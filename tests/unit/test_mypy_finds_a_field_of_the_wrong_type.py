"""A field of the wrong type is found by mypy, before anything runs. The library tests what finds it later."""

from __future__ import annotations

from pathlib import Path

from mypy import api

from tools.registry import ROOT

BAD = """
from meters.messages import Counter, MeterRead, Place, ReadMeter

read = MeterRead(meter_id="m1")
MeterRead(meter_id=7)
MeterRead()
MeterRead(meter_id="m1", timestamp=1.5)
MeterRead(meter_id="m1", units="7")
MeterRead(meter_id="m1", counters=[Counter(name="day", units=7)])
MeterRead(meter_id="m1", counters=(Counter(name="day", units=2.55),))
MeterRead(meter_id="m1", place={"city": "Ulm"})
Place(city="Ulm", indoors="no")
MeterRead(meter_id="m1", colour="red")
MeterRead("m1")
read.units + 1
read.units = 7
"""


def test_mypy_finds_each_wrong_line_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "bad.py"
    file.write_text(BAD, encoding="utf-8")
    # The cache of `make check`: without it, mypy reads all that the library imports.
    options = ["--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(ROOT / ".mypy_cache")]
    said, trouble, status = api.run([*options, str(file)])
    assert (status, trouble) == (1, ""), said + trouble
    found = {
        int(line.split(":")[1])
        for line in said.splitlines()
        if f"{file.name}:" in line and ": error:" in line
    }
    wrong = [number for number, line in enumerate(BAD.splitlines(), 1) if line and "import" not in line]
    assert found == set(wrong[1:]), said
