"""Every client of the format, unmodified, does every step that it has a way to do."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clients.drivers import FAMILIES, Drive
from clients.environments import NotInstalled
from clients.judges import JUDGES
from clients.roster import CLIENTS
from clients.stage import Stage, set_stage
from clients.steps import STEPS
from clients.wires import lossy

ALL = os.environ.get("VIDEOGATE_TEST_CLIENTS") == "all"
NODE_SWITCH = "VIDEOGATE_TEST_NODE"  # 1: without npm's registry the tests of Node fail
CASES = [
    pytest.param(name, step, id=f"{name}-{step}")
    for name, client in CLIENTS.items()
    if client.everyday or ALL
    for step in STEPS
    if step not in client.cannot
]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all."""
    with set_stage(tmp_path_factory.mktemp("clients")) as made:
        yield made


@pytest.fixture(scope="module")
def drives(stage: Stage) -> Iterator[Callable[[str], Drive]]:
    """Each client, started when it is first needed."""
    with ExitStack() as stack:
        started: dict[str, Drive] = {}

        def drive(name: str) -> Drive:
            if name not in started:
                client = CLIENTS[name]
                started[name] = stack.enter_context(FAMILIES[client.family](client, stage.page))
            return started[name]

        yield drive


@pytest.mark.parametrize(("name", "step"), CASES)
def test_a_client(stage: Stage, drives: Callable[[str], Drive], tmp_path: Path, name: str, step: str) -> None:
    """What the client gives back, what came to the vendors and what was paid are as the list of steps says."""
    client = CLIENTS[name]
    given = {**stage.given(client, step), "out": str(tmp_path / "out")}
    try:
        drive = drives(name)
    except NotInstalled as error:
        if client.family == "node" and not ALL and os.environ.get(NODE_SWITCH) != "1":
            pytest.skip(f"npm installs nothing here: {str(error).splitlines()[0]}")
        raise
    if step == "failed":
        stage.world.fault(vendor="sora", op="submit", mode="fail")
    with lossy(stage.url) as line:
        result = drive(step, {**given, "lossy": line.url + client.path})

    JUDGES[step](stage, client, {**given, "line": line}, result)
