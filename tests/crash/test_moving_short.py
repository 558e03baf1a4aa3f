"""A gateway that is killed with its hands full moves to PostgreSQL: `make crash-copy` in short."""

from pathlib import Path

from crash.moving import GROUP, run


def test_a_move_with_videos_in_every_state_costs_nothing(tmp_path: Path) -> None:
    """Killed with videos that wait, are being sent, are lost, run and are being fetched, and moved: every one ends, and
    none is paid twice or lost.
    """
    done = run(tmp_path / "ground", 60, render=2.0, patient=False)

    assert {"task intent", "task submitting", "task submitted", "task fetching", "task succeeded"} <= done.states.keys()
    assert done.in_flight >= 60
    assert done.findings == []
    assert done.ended["succeeded"] >= 2 * GROUP
    assert f"{done.in_flight} of them under way" in done.words
