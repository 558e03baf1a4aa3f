"""Clients at work: each is given a step, does it, and says what it got."""

import json
import os
import subprocess
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from threading import Timer
from typing import Any

from acceptance.browsers import open_browser, open_playwright
from clients import drive_curl
from clients.environments import NODE, node_folder_of, python_of
from clients.roster import Client
from clients.stage import Given

HERE = Path(__file__).parent
SECONDS = 180.0  # for one step, on a machine with much else to do

Drive = Callable[[str, Given], Any]
Opened = Callable[[Client, str], AbstractContextManager[Drive]]  # of a client and the address of an empty page

# What a page needs to send files: its reader chooses them.
_INPUTS = "".join(f'<input type="file" id="{name}">' for name in ("picture", "second", "film"))


@contextmanager
def python(client: Client, page: str) -> Iterator[Drive]:
    """OpenAI's SDK for Python, in a process of the Python that has it."""
    with _process([python_of(client), str(HERE / "drive_openai.py")], HERE) as drive:
        yield drive


@contextmanager
def litellm(client: Client, page: str) -> Iterator[Drive]:
    """LiteLLM in a process; it asks nobody for its list of models."""
    alone = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    with _process([python_of(client), str(HERE / "drive_litellm.py")], HERE, alone) as drive:
        yield drive


@contextmanager
def node(client: Client, page: str) -> Iterator[Drive]:
    """OpenAI's SDK for JavaScript in a process of Node."""
    command = [NODE, "--no-deprecation", str(HERE / "drive_openai.mjs")]
    with _process(command, node_folder_of(client)) as drive:
        yield drive


@contextmanager
def curl(client: Client, page: str) -> Iterator[Drive]:
    """curl, line by line."""
    yield lambda step, given: drive_curl.STEPS[step](given)


@contextmanager
def browser(client: Client, page: str) -> Iterator[Drive]:
    """A page in a browser."""
    script = (HERE / "drive_browser.js").read_text("utf-8")
    with open_playwright() as chromium, open_browser(chromium) as opened, opened.new_page() as empty:

        def drive(step: str, given: Given) -> Any:
            empty.goto(page)
            empty.set_content(_INPUTS)
            for name in ("picture", "second", "film"):
                empty.set_input_files(f"#{name}", given[name])
            answer = empty.evaluate(script, [step, given])
            if not isinstance(answer, dict) or "saved" not in answer:
                return answer
            Path(given["out"]).write_bytes(b64decode(answer["saved"]))
            return answer["result"]

        yield drive


FAMILIES: Mapping[str, Opened] = {
    "python": python,
    "litellm": litellm,
    "node": node,
    "curl": curl,
    "browser": browser,
}


@contextmanager
def _process(command: Sequence[str], folder: Path, more: Mapping[str, str] | None = None) -> Iterator[Drive]:
    """A driver of its own process: a line of JSON in, a line out."""
    ours = ("OPENAI_", "VIDEOGATE_", "PYTHON")  # what a machine has set for others
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**kept, **(more or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )
    to, back = process.stdin, process.stdout
    assert to is not None
    assert back is not None

    def drive(step: str, given: Given) -> Any:
        late = Timer(SECONDS, process.kill)
        late.start()
        try:
            to.write(json.dumps([step, given]) + "\n")
            to.flush()
            line = back.readline()
        finally:
            late.cancel()
        assert line, f"{command[-1]} ended in {step}, or took longer than {SECONDS:g} s"
        answer = json.loads(line)
        assert "raised" not in answer, answer["raised"]
        return answer["result"]

    try:
        yield drive
    finally:
        to.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        back.close()
