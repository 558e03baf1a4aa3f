"""README's examples, run as they stand: only the host, the key and the ids are those of the test."""

import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from acceptance.conftest import KEY, World, ended
from videogate.media.probe import probe

pytestmark = pytest.mark.databases("sqlite")

README = Path(__file__).parents[2] / "README.md"
HOST = "http://127.0.0.1:8000"
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE)
CURLS = [text for _, text in BLOCKS if text.startswith("curl")]
CLIENT = next(text for kind, text in BLOCKS if kind == "python" and "OpenAI(" in text)


def run(script: str, url: str, folder: Path, **variables: str) -> str:
    """Run a shell example and return what it printed. Raises if a command of it fails."""
    given = {"PATH": os.environ["PATH"], "KEY": KEY, **variables}
    command = ["bash", "-euo", "pipefail", "-c", script.replace("curl ", "curl -sS --fail-with-body ")]
    command[-1] = command[-1].replace(HOST, url)
    done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def first_id(printed: str) -> str:
    found = re.search(r'"id":\s*"(video_\w+)"', printed)
    assert found, printed
    return found[1]


def test_the_curl_lines_make_and_fetch_a_video(gateway: str, api: httpx.Client, tmp_path: Path) -> None:
    """Create, get and download, as a reader pastes them."""
    create, rest = CURLS[0].split("\n\n", 1)
    video_id = first_id(run(create, gateway, tmp_path))
    ended(api, video_id)

    run(rest, gateway, tmp_path, ID=video_id)

    assert probe(tmp_path / "video.mp4").seconds_text == "5"


def test_an_idempotency_key_is_used_as_shown(gateway: str, tmp_path: Path) -> None:
    """The example, sent twice, is one video."""
    (example,) = (text for text in CURLS if "Idempotency-Key" in text)

    assert first_id(run(example, gateway, tmp_path)) == first_id(run(example, gateway, tmp_path))


def test_the_sdk_example_ends_in_a_file(gateway: str, tmp_path: Path) -> None:
    """The Python example runs to its end and leaves an MP4."""
    script = CLIENT.replace(HOST, gateway).replace("…", KEY)
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90
    )

    assert done.returncode == 0, done.stderr
    assert probe(tmp_path / "video.mp4").seconds_text == "5"


@pytest.mark.parametrize("kind", ["create", "unwrap"])
def test_the_webhook_example_is_of_this_sdk(world: World, kind: str) -> None:
    """Each call in the webhook example is one that the SDK has and the gateway answers."""
    (example,) = (text for language, text in BLOCKS if language == "python" and "webhooks" in text)
    call = next(part for part in example.split("\n\n") if f"webhooks.{kind}" in part)
    head = f'from openai import OpenAI\nclient = OpenAI(base_url="{HOST}/v1", api_key="{KEY}")\n'
    # What the receiver is sent is checked in test_webhooks; here the words are.
    given = 'class request: body, headers = "{}", {}\nSECRET = "whsec_" + "A" * 32\n' if kind == "unwrap" else ""
    with world.gateway() as server:
        script = (head + given + call).replace(HOST, server.url)
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=60)

    if kind == "create":
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("whsec_")
    else:
        # The SDK read its arguments, and found that nobody signed this.
        assert done.stderr.splitlines()[-1] == "ValueError: Could not find webhook-signature header"
