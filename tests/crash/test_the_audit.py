"""The audit of claims sees a fence that is given twice, and nothing in good order: it cannot pass blindly."""

from pathlib import Path

import pytest

from crash.fleet import AUDIT, TWICE
from postgres import ask
from unit.store.support import NOW, opened
from videogate.task.state import TaskState


@pytest.mark.parametrize("forged", [False, True], ids=["good order", "forged"])
async def test_a_fence_that_is_given_twice_is_seen(tmp_path: Path, database_url: str, forged: bool) -> None:
    """Two claims of one task have two fences; a fence that is set back, and risen again, is found."""
    async with opened(tmp_path, database_url) as desk:
        ask(database_url, AUDIT)
        await desk.add("video_1")
        await desk.claim(TaskState.INTENT, lease=1)
        if forged:
            ask(database_url, "ALTER TABLE task DISABLE TRIGGER audit")
            ask(database_url, "UPDATE task SET fence = fence - 1")
            ask(database_url, "ALTER TABLE task ENABLE TRIGGER audit")
        await desk.claim(TaskState.INTENT, now=NOW + 2, lease=1)

    assert ask(database_url, "SELECT count(*) FROM claimed") == [(2,)]
    assert ask(database_url, TWICE) == ([("video_1", 1, 2)] if forged else [])
