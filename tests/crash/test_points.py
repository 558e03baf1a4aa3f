"""The points at which the matrix strikes are places in the source."""

import re
from collections import Counter
from pathlib import Path

from crash.cell import OF_A_MOVE, POINTS
from videogate import faultpoints

SOURCES = Path(faultpoints.__file__).parent


def test_every_point_is_in_the_source_once() -> None:
    """The matrix and the tests of a move strike at all places that there are, each of which has a name of its own."""
    found = re.compile(r'\bfaultpoint\("([^"]+)"\)')
    places = Counter(name for file in SOURCES.rglob("*.py") for name in found.findall(file.read_text("utf-8")))

    assert places == dict.fromkeys((*POINTS, *OF_A_MOVE), 1)


def test_nothing_is_armed_by_itself() -> None:
    """A gateway that nobody armed passes its points and goes on."""
    assert not faultpoints.armed()
    for name in POINTS:
        faultpoints.faultpoint(name)


def test_no_code_of_the_gateway_arms() -> None:
    """Only a launcher outside the package can arm: no setting, no request."""
    arming = [file.name for file in SOURCES.rglob("*.py") if re.search(r"\barm\(", file.read_text("utf-8"))]

    assert arming == ["faultpoints.py"]
