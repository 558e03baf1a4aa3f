"""What an operator does about a submit of which nobody knows what became of it."""

from subprocess import CompletedProcess

import httpx
import pytest

from acceptance.conftest import KEY, World, ended
from forked import run_videogate

MODEL = "jimeng_vgfm_t2v_l20"  # of a vendor that cannot be asked


def command(world: World, *arguments: str) -> CompletedProcess[str]:
    """`videogate tasks …` beside the running server."""
    return run_videogate("tasks", *arguments, folder=world.folder, variables=world.variables)


@pytest.fixture(autouse=True)
def lossy(world: World) -> None:
    """The next submit's answer is lost."""
    world.fault(vendor="jimeng", op="submit", mode="drop_after", times=1)


def test_a_person_binds_a_lost_submit_and_the_video_completes(world: World) -> None:
    """`review` lists the task with its evidence, `bind` gives it the vendor's job: it is fetched, by the same id."""
    with (
        world.gateway() as server,
        httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client,
    ):
        video = client.post("/v1/videos", json={"model": MODEL, "prompt": "a lighthouse"}).json()["id"]
        failed = ended(client, video)
        assert failed["error"]["code"] == "submission_outcome_unknown"
        assert "not sent again" in failed["error"]["message"]

        listed = command(world, "review")
        assert listed.returncode == 0, listed.stderr
        assert all(word in listed.stdout for word in (video, "jimeng", "a lighthouse", "its answer was lost"))
        (paid,) = world.paid()
        assert command(world, "bind", video, paid["id"]).returncode == 0
        again = client.get(f"/v1/videos/{video}").json()
        assert again["status"] in {"processing", "succeeded"}
        assert ended(client, video)["status"] == "succeeded"
    assert len(world.paid()) == 1
    assert "Nothing waits" in command(world, "review").stdout


def test_a_person_writes_a_lost_submit_off(world: World) -> None:
    """After `write-off` nothing waits for a person, the task stays failed, and it cannot be bound any more."""
    with (
        world.gateway() as server,
        httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client,
    ):
        video = client.post("/v1/videos", json={"model": MODEL, "prompt": "a lighthouse"}).json()["id"]
        ended(client, video)

        assert command(world, "write-off", video).returncode == 0
        assert "Nothing waits" in command(world, "review").stdout
        refused = command(world, "bind", video, "job-1")
        assert refused.returncode == 1
        assert "does not wait for a person" in refused.stderr
        assert client.get(f"/v1/videos/{video}").json()["status"] == "failed"


def test_a_job_of_another_task_is_not_bound(world: World) -> None:
    """A vendor's job that belongs to one task cannot be given to a second one."""
    with (
        world.gateway() as server,
        httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {KEY}"}, timeout=30) as client,
    ):
        lost = client.post("/v1/videos", json={"model": MODEL, "prompt": "lost"}).json()["id"]
        ended(client, lost)
        assert ended(client, client.post("/v1/videos", json={"model": MODEL, "prompt": "fine"}).json()["id"])
        theirs = next(job["id"] for job in world.paid() if job["prompt"] == "fine")

        refused = command(world, "bind", lost, theirs)
        assert refused.returncode == 1
        assert "was not bound" in refused.stderr
