"""curl, step by step: the lines that people type, run by bash."""

import json
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Given = dict[str, Any]
AUTH = '-H "Authorization: Bearer $KEY"'
ASK = f'"$URL/videos" {AUTH} -F model=sora-2 -F "prompt=$PROMPT"'
SECONDS = 60.0
# After the body of an answer: its status, and the id under which the gateway's log has it.
STATUS = r"-w '\n%{http_code} %header{x-request-id}'"
OVER = frozenset({"succeeded", "completed", "failed"})


def run(line: str, given: Given, **more: str) -> subprocess.CompletedProcess[str]:
    """Run a line with what is given as variables in capital letters."""
    variables = {name.upper(): value for name, value in {**given, **more}.items() if isinstance(value, str)}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line.replace("curl ", "curl -sS ")],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **variables},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


def said(line: str, given: Given, **more: str) -> Any:
    """What a line printed, as JSON; None if it printed nothing. Raises if curl fails."""
    done = run(line, given, **more)
    assert done.returncode == 0, f"{line}: exit {done.returncode}: {done.stdout}{done.stderr}"
    return json.loads(done.stdout) if done.stdout.strip() else None


def simple(line: str) -> Callable[[Given], Any]:
    """A step of one line."""
    return lambda given: said(line, given)


def poll(given: Given) -> Any:
    video = said(f"curl {ASK} -F seconds=4 -F size=1280x720", given)
    until = time.monotonic() + SECONDS
    while video["status"] not in OVER and time.monotonic() < until:
        time.sleep(0.2)
        video = said(f'curl "$URL/videos/$ID" {AUTH}', given, id=video["id"])
    return video


def failed(given: Given) -> Any:
    return poll(given)


def optional(given: Given, brackets: Callable[[str], str]) -> Any:
    shown = []
    for each in given["optional"]:
        fields = " ".join(f"-F '{brackets(path)}={value}'" for path, value in flat(each["options"]))
        line = f'curl "$URL/videos" {AUTH} -F "model=$MODEL" -F "prompt=$PROMPT" {fields}'
        shown.append(said(line, given, model=each["model"], prompt=each["prompt"]))
    return shown


def flat(value: Any, path: str = "") -> list[tuple[str, str]]:
    """A structure as the fields of a form: their brackets and their texts."""
    if isinstance(value, dict):
        return [pair for key, each in value.items() for pair in flat(each, f"{path}[{key}]")]
    if isinstance(value, list):
        return [pair for each in value for pair in flat(each, f"{path}[]")]
    return [(path, value if isinstance(value, str) else json.dumps(value))]


def bare(path: str) -> str:
    """Brackets without the first pair: a field of the top."""
    return path.replace("[", "", 1).replace("]", "", 1)


def pages(given: Given) -> Any:
    return [_pages(given, order) for order in ("desc", "asc")]


def _pages(given: Given, order: str) -> list[str]:
    ids: list[str] = []
    query = {"limit": "2", "order": order}
    while True:
        fields = " ".join(f"--data-urlencode {name}={value}" for name, value in query.items())
        page = said(f'curl -G "$URL/videos" -H "Authorization: Bearer $FIVE_KEY" {fields}', given)
        ids += [video["id"] for video in page["data"]]
        if not page["has_more"]:
            return ids
        query["after"] = page["last_id"]


def delete(given: Given) -> Any:
    made = said(f"curl {ASK}", given)
    gone = said(f'curl -X DELETE "$URL/videos/$ID" {AUTH}', given, id=made["id"])
    return {"made": made["id"], "gone": gone, "then": error(f'"$URL/videos/$ID" {AUTH}', given, id=made["id"])}


def stream(given: Given) -> Any:
    """In parts: a transfer that broke off is taken up again."""
    done = run(f'curl "$URL/videos/$BIG/content" {AUTH} -r 0-4095 -o "$OUT"', given)
    assert (done.returncode, Path(given["out"]).stat().st_size) == (0, 4096), done.stderr
    said(f'curl "$URL/videos/$BIG/content" {AUTH} -C - -o "$OUT"', given)
    return 2


def error(arguments: str, given: Given, **more: str) -> Any:
    """What curl ends with and prints when it is told that errors are errors."""
    done = run(f"curl --fail-with-body {arguments} {STATUS}", given, **more)
    body, last = done.stdout.rsplit("\n", 1)
    status, request_id = last.split(" ")
    shown = json.loads(body)["error"]
    return {**shown, "class": f"exit {done.returncode}", "status": int(status), "request_id": request_id}


def errors(given: Given) -> Any:
    return {
        "model": error(f'"$URL/videos" {AUTH} -F model=no-such-model -F prompt=x', given),
        "key": error('"$URL/videos" -H "Authorization: Bearer vg-wrong"', given),
        "unknown": error(f'"$URL/videos/video_unknown" {AUTH}', given),
        "early": error(f'"$URL/videos/$UNFINISHED/content" {AUTH}', given),
    }


LOST = f'curl --retry 3 --retry-all-errors "$LOSSY/videos" {AUTH} -H "Idempotency-Key: $PROMPT" -F "prompt=$PROMPT"'
REWORK = '{"prompt": "\'"$PROMPT"\'", "video": {"id": "\'"$SOURCE"\'"}, "seconds": "4"}'
VIDUS = f'"$URL/videos" {AUTH} -F model=viduq1 -F "prompt=$PROMPT"'

STEPS: dict[str, Callable[[Given], Any]] = {
    "create": simple(f"curl {ASK} -F seconds=4 -F size=1280x720"),
    "poll": poll,
    "metadata": lambda given: optional(given, lambda path: f"metadata{path}"),
    "options": lambda given: optional(given, bare),
    "json": simple(
        f'curl "$URL/videos" {AUTH} -H "Content-Type: application/json" -d \'{{"model": "wan2.5-t2v-preview",'
        ' "prompt": "\'"$PROMPT"\'", "metadata[watermark]": false, "metadata[seed]": 7}\''
    ),
    "picture-file": simple(f'curl {ASK} -F "input_reference=@$PICTURE"'),
    "picture-stream": simple(f'curl {ASK} -F "input_reference=@-" < "$PICTURE"'),
    "picture-named": simple(f'curl {ASK} -F "input_reference=@$PICTURE;type=image/png;filename=猫.png"'),
    "picture-several": simple(f'curl {VIDUS} -F "input_reference[]=@$PICTURE" -F "input_reference[]=@$SECOND"'),
    "picture-link": simple(f'curl {ASK} -F "input_reference[image_url]=$LINK"'),
    "picture-data": simple(f'curl {ASK} -F "input_reference[image_url]=<$DATA_FILE"'),
    "picture-text": simple(f'curl {ASK} -F "input_reference=$LINK"'),
    "picture-json": simple(
        f'curl "$URL/videos" {AUTH} -H "Content-Type: application/json" -d \'{{"model": "sora-2",'
        ' "prompt": "\'"$PROMPT"\'", "input_reference[image_url]": "\'"$LINK"\'"}\''
    ),
    "retrieve": simple(f'curl "$URL/videos/$SOURCE" {AUTH}'),
    "list": pages,
    "delete": delete,
    "download": simple(f'curl "$URL/videos/$BIG/content" {AUTH} -o "$OUT"'),
    "download-stream": stream,
    "download-variant": simple(f'curl "$URL/videos/$BIG/content?variant=thumbnail" {AUTH} -o "$OUT"'),
    "remix": simple(
        f'curl "$URL/videos/$SOURCE/remix" {AUTH} -H "Content-Type: application/json"'
        ' -d \'{"prompt": "\'"$PROMPT"\'"}\''
    ),
    "edit": simple(f'curl "$URL/videos/edits" {AUTH} -F "prompt=$PROMPT" -F "video[id]=$SOURCE"'),
    "edit-file": simple(f'curl "$URL/videos/edits" {AUTH} -F "prompt=$PROMPT" -F "video=@$FILM"'),
    "extend": simple(f"curl \"$URL/videos/extensions\" {AUTH} -d '{REWORK}'"),
    "extend-file": simple(f'curl "$URL/videos/extensions" {AUTH} -F "prompt=$PROMPT" -F seconds=4 -F "video=@$FILM"'),
    "errors": errors,
    "failed": failed,
    "lost": simple(f"{LOST} -F model=sora-2"),
    "lost-upload": simple(f'{LOST} -F model=sora-2 -F "input_reference=@$PICTURE"'),
}
