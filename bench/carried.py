"""How many videos a program carries to its vendor: creates as fast as it takes them, until the last was submitted.

A create of ours is answered before its submit, so that its rate alone says nothing of what a submit costs.
"""

import json
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from calls import CREATE, load
from programs import Program

LIFTED = {"VIDEOGATE_SORA_SUBMITS_PER_SECOND": "1000", "VIDEOGATE_SORA_MAX_JOBS": "0"}  # no bounds but our own
GLANCE = 0.05  # seconds between two questions whether all have come
PATIENCE = 300.0  # seconds
AFTER = 0.5  # seconds in which the last answers are written down, which cost processor time too


def carry(program: Program, vendors: str, count: int) -> dict[str, Any]:
    """Create videos and wait until the vendor was asked for each.

    What load.py found of the creates, but `rate` is of videos carried and `cpu` milliseconds of a video.
    """
    before, used = submits(vendors), program.cpu
    with ThreadPoolExecutor(1) as aside:
        creates = aside.submit(load, program, CREATE, [""], PATIENCE, count)
        until = time.monotonic() + PATIENCE
        while submits(vendors) - before < count:
            answers = creates.result()["statuses"] if creates.done() else {}
            if time.monotonic() > until or set(answers) - {"200", "201"}:
                raise SystemExit(f"{program.name} did not carry its videos: {answers}")
            time.sleep(GLANCE)
        ended = time.time()
        found = creates.result()
    time.sleep(AFTER)
    came = submits(vendors) - before
    if came != count:
        raise SystemExit(f"{program.name} carried {came} videos, not {count}")
    return {**found, "rate": count / (ended - found["began"]), "cpu": 1000 * (program.cpu - used) / count}


def submits(vendors: str) -> int:
    """How many creates have come to the simulated vendor."""
    with urllib.request.urlopen(f"{vendors}/_simulator/stats", timeout=30) as answer:
        return int(json.load(answer).get("sora.submit", 0))
