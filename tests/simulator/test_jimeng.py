"""The simulated Jimeng, by its documents: signature, fields, states, errors, lifetimes, and the vendor's own SDK."""

import json
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest

from videogate.cli.children import child
from videogate.cli.demo import picture
from videogate.media.probe import probe
from videogate.simulator import Options, create_app, jimeng
from videogate.simulator.jimeng_models import BY_NAME
from videogate.simulator.jimeng_signature import canonical_query, canonical_request, signature, signing_key

HOST, SCOPE = "visual.volcengineapi.com", "cn-north-1/cv/request"
KEY, SECRET = "AKLTexampleaccesskeyid0001", "TXlFeGFtcGxlU2VjcmV0QWNjZXNzS2V5MDAwMQ=="
JSON = "application/json"
SUBMIT, POLL = ("Action=CVSync2Async" + action + "&Version=2022-08-31" for action in ("SubmitTask", "GetResult"))
POLL_BODY = '{"req_key":"jimeng_vgfm_t2v_l20","task_id":"7392616336519610409"}'
TEXT, PRO, FIRST, TAIL = (
    "jimeng_t2v_v30",
    "jimeng_ti2v_v30_pro",
    "jimeng_i2v_first_v30",
    "jimeng_i2v_first_tail_v30",
)
LINK = "https://example.com/cat.png"
MOVES = {"template_id": "robo_arm", "camera_strength": "weak"}


def encoded(width: int, height: int) -> str:
    """A picture as the API takes it."""
    return b64encode(picture(width, height)).decode()


def signed(
    body: bytes, moment: str, query: str, *, host: str, path: str = "/", key: str = "simulator", **changed: str
) -> dict[str, str]:
    """The headers of a request as the vendor's clients send them; `changed`: what is signed instead."""
    digest = changed.get("digest", sha256(body).hexdigest())
    headers = {"Content-Type": JSON, "Host": host, "X-Content-Sha256": digest, "X-Date": moment}
    canonical = canonical_request("POST", path, query, headers, sha256(body).hexdigest())
    scope = changed.get("scope", f"{moment[:8]}/{SCOPE}")
    right = signature(changed.get("secret", f"{key}-secret"), scope, moment, canonical)
    names = ";".join(sorted(name.lower() for name in headers))
    return {
        **headers,
        "Authorization": f"HMAC-SHA256 Credential={key}/{scope}, SignedHeaders={names}, Signature={right}",
    }


def clock(late: float = 0.0) -> str:
    """X-Date, `late` seconds ago."""
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(time.time() - late))


class Client:
    """Calls a simulator of all vendors."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def send(self, query: str, body: Any, **changed: str) -> httpx.Response:
        """One signed call."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        url = self.http.base_url
        headers = signed(data, clock(), query, host=f"{url.host}:{url.port}", path="/jimeng/", **changed)
        return self.http.post(f"/jimeng/?{query}", content=data, headers=headers)

    def submit(self, **body: Any) -> httpx.Response:
        """Ask for a film."""
        return self.send(SUBMIT, body)

    def poll(self, req_key: str, task_id: Any, **more: Any) -> httpx.Response:
        """Look at a task."""
        return self.send(POLL, {"req_key": req_key, "task_id": task_id, **more})

    def ended(self, req_key: str, task_id: str) -> httpx.Response:
        """Wait for a task to end."""
        until = time.monotonic() + 10
        while (found := self.poll(req_key, task_id)).json()["code"] == 10000:
            if found.json()["data"]["status"] == "done":
                break
            assert time.monotonic() < until
            time.sleep(0.05)
        return found

    def fault(self, **fault: Any) -> None:
        """Switch a fault on."""
        self.http.post("/_simulator/faults", json={"vendor": "jimeng", **fault}).raise_for_status()


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a simulator process that serves all vendors."""
    arguments = ["videogate.simulator", "--port", "0", "--render-seconds", "0.3", "--no-rate-limits"]
    with (
        child(arguments, folder=tmp_path_factory.mktemp("all"), variables={}) as server,
        httpx.Client(base_url=server.url, trust_env=False, timeout=10) as http,
    ):
        yield Client(http)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a simulator process that serves Jimeng alone."""
    arguments = ["videogate.simulator", "--port", "0", "--only", "jimeng", "--render-seconds", "0.3"]
    with child(arguments, folder=tmp_path_factory.mktemp("alone"), variables={}) as server:
        yield server.url


def film_of(client: Client, path: Path, answer: httpx.Response) -> tuple[int, int, int]:
    """The width, height and seconds of the film behind a poll's answer."""
    path.write_bytes(client.http.get(answer.json()["data"]["video_url"]).raise_for_status().content)
    film = probe(path)
    return film.frame.width, film.frame.height, round(film.seconds)


def test_the_worked_example_is_signed_as_the_document_signs_it() -> None:
    """Every step of the documented example comes out as documented."""
    body = '{"req_key":"jimeng_vgfm_t2v_l20","prompt":"千军万马","seed":-1,"aspect_ratio":"16:9"}'.encode()
    digest = "fae1f3836a93bc31381b23a2a6a6c46e22b58da4b952ad079d9e73d049857c53"
    moment = "20250805T064938Z"

    headers = {"Content-Type": JSON, "Host": HOST, "X-Content-Sha256": digest, "X-Date": moment}
    canonical = canonical_request("POST", "/", SUBMIT, headers, sha256(body).hexdigest())
    keys = [signing_key(SECRET, "/".join(f"20250805/{SCOPE}".split("/")[:count])).hex() for count in (1, 2, 3, 4)]
    authorization = signed(body, moment, SUBMIT, host=HOST, key=KEY, secret=SECRET)["Authorization"]

    assert sha256(canonical.encode()).hexdigest() == "954fbb2b10a9c2479dc9a89562b54d40fe02ddffb61b72c062115ba3767f0c23"
    assert keys == [
        "8d5d92802632ff0e7a3ea6cb90413325cd6660831dc1d1ac55da0535294ba247",
        "3518eba9d0c4c775a46f2ab637e5aed18683eb7ed5c8f1ccaebc83d8b32e47a8",
        "0f40898cacbef70a8966e3ecd947496d543394f8b469edb755a44105b1403286",
        "71692746c68498f711b9bb06404e5c7cce560ec6352f8312fc397465f51993be",
    ]
    assert authorization == (
        "HMAC-SHA256 Credential=AKLTexampleaccesskeyid0001/20250805/cn-north-1/cv/request, "
        "SignedHeaders=content-type;host;x-content-sha256;x-date, "
        "Signature=396a0840c3c62b68b1d8f440a8b3baadb9db3d765f3fef782c8b91c0710560dd"
    )


def test_the_published_vector_of_another_client_comes_out() -> None:
    """A vector that another project published comes out, with its key and its canonical request."""
    digest = "2e83d6a6ed2aef0fb0dd7125abe5bad97718ec9bd6be63d52418921ea3133955"
    headers = {"content-type": JSON, "host": HOST, "x-content-sha256": digest, "x-date": "20240115T120000Z"}
    canonical = canonical_request("POST", "/", POLL, headers, digest)
    body = b'{"req_key":"jimeng_vgfm_t2v_l20","task_id":"abc"}'

    made = signature("SKTEST", f"20240115/{SCOPE}", "20240115T120000Z", canonical)

    assert sha256(body).hexdigest() == digest
    assert sha256(canonical.encode()).hexdigest() == "050743f342d111c1789cf60ff4b61e6d043005d1668def7d87b8a193b6f14b18"
    key = signing_key("SKTEST", f"20240115/{SCOPE}").hex()
    assert key == "89b687ec3ffe93e4fad02ff3b26b796d56315c0c8630ce2fa294479baa5faf90"
    assert made == "5cbe194cc35a9fe8a0dcf34cbfc8f10d2c989caa3059aa6fe4f186977c0fef7a"


@pytest.mark.parametrize(
    ("host", "names", "right"),
    [
        (HOST, "chd", "0d0b5a51fc019760031e8771baf76608fbf7e610675f5d03ed8d17765657e2bf"),
        (f"{HOST}:443", "chd", "0d0b5a51fc019760031e8771baf76608fbf7e610675f5d03ed8d17765657e2bf"),
        ("127.0.0.1:9001", "chd", "232fe7359ea2da6d9088c18ab9f675dd7aa85729eafb0a53d505305d16d0906c"),
        (HOST, "chdt", "3988cd81328962f385371e8fe4ae9e98cab7008bd864e52e9e5d922d8f52b253"),
        (HOST, "d", "22b2402c91b5f989750dda0fd071f4def643d83d1345cfba75b09320f72b4b96"),
    ],
    ids=["plain", "usual port", "other port", "token", "least"],
)
def test_a_poll_is_signed_alike_by_host_and_headers(host: str, names: str, right: str) -> None:
    """Usual ports are signed away, others are not, and whatever headers are listed are signed."""
    moment, digest = "20250805T065008Z", sha256(POLL_BODY.encode()).hexdigest()
    every = {
        "c": ("content-type", JSON),
        "h": ("x-content-sha256", digest),
        "d": ("x-date", moment),
        "t": ("x-security-token", "STSexampletoken"),
    }

    canonical = canonical_request("POST", "/", POLL, {"host": host, **dict(every[name] for name in names)}, digest)

    assert digest == "67cdf273f6c42dee0439e6e846b8ec2f570cf6d2fe0367e120f0cadd9b028633"
    assert signature(SECRET, f"20250805/{SCOPE}", moment, canonical) == right


def test_a_query_is_encoded_as_the_document_encodes_it() -> None:
    """Spaces are %20, never plus, and everything that is not unreserved is escaped."""
    query = "Version=2022-08-31&Key=a+b%2Bc/%3D~%E4%B8%AD&Action=X"
    empty, moment = sha256(b"").hexdigest(), "20250805T065008Z"
    headers = {"host": HOST, "x-content-sha256": empty, "x-date": moment}

    canonical = canonical_request("GET", "", query, headers, empty)

    assert canonical_query(query) == "Action=X&Key=a%20b%2Bc%2F%3D~%E4%B8%AD&Version=2022-08-31"
    assert sha256(canonical.encode()).hexdigest() == "6cceda1e4eac94394946b304934ffdf3c2c8a5b844fcce35645d1aa50eb3878f"
    right = "65a6152f792f705db9be1d8c779c2a9ad0b025b840533d08d874f986883ab4f4"
    assert signature(SECRET, f"20250805/{SCOPE}", moment, canonical) == right


def test_the_vendors_own_client_makes_a_film(alone: str, tmp_path: Path) -> None:
    """The official SDK submits, polls, and finds a film of the size and length that it asked for."""
    sdk = pytest.importorskip("volcengine.visual.VisualService")
    service = sdk.VisualService()
    service.session.trust_env = False
    service.set_ak("simulator")
    service.set_sk("simulator-secret")
    service.set_scheme("http")
    service.set_host(alone.removeprefix("http://"))

    with closing(service.session):
        asked = {"req_key": TEXT, "prompt": "千军万马", "seed": -1, "frames": 121, "aspect_ratio": "9:16"}
        task = service.cv_sync2async_submit_task(asked)["data"]["task_id"]
        seen: list[str] = []
        while "done" not in seen:
            poll = service.cv_sync2async_get_result({"req_key": TEXT, "task_id": task})
            seen.append(poll["data"]["status"])
            time.sleep(0.05)
    path = tmp_path / "film.mp4"
    path.write_bytes(httpx.get(poll["data"]["video_url"], trust_env=False, timeout=60).raise_for_status().content)

    assert list(dict.fromkeys(seen)) == ["in_queue", "generating", "done"]
    film = probe(path)
    assert (film.frame.width, film.frame.height, film.seconds_text) == (704, 1248, "5")


def test_the_vendors_own_client_is_told_of_a_wrong_secret(alone: str) -> None:
    """The official SDK with a wrong secret key is answered SignatureDoesNotMatch."""
    sdk = pytest.importorskip("volcengine.visual.VisualService")
    service = sdk.VisualService()
    service.session.trust_env = False
    service.set_ak("simulator")
    service.set_sk("wrong")
    service.set_scheme("http")
    service.set_host(alone.removeprefix("http://"))

    with closing(service.session), pytest.raises(Exception, match="SignatureDoesNotMatch"):
        service.cv_sync2async_submit_task({"req_key": TEXT, "prompt": "x"})


@pytest.mark.parametrize(
    ("body", "film"),
    [
        ({"req_key": PRO, "prompt": "x", "frames": 241, "aspect_ratio": "21:9"}, (2176, 928, 10)),
        ({"req_key": PRO, "binary_data_base64": [encoded(500, 500)], "aspect_ratio": "21:9"}, (1440, 1440, 5)),
        ({"req_key": FIRST, "prompt": "x", "binary_data_base64": [encoded(936, 1664)]}, (704, 1248, 5)),
        ({"req_key": TAIL, "prompt": "x", "image_urls": [LINK, LINK], "frames": 241}, (1248, 704, 10)),
        ({"req_key": "jimeng_vgfm_i2v_l20", "image_urls": [LINK], "aspect_ratio": "9:21"}, (640, 1504, 5)),
    ],
    ids=["text", "square picture", "tall picture", "two links", "S2.0"],
)
def test_a_film_is_what_was_asked_for(
    client: Client, tmp_path: Path, body: dict[str, Any], film: tuple[int, int, int]
) -> None:
    """The film has the table's size for the ratio that was asked for, or for the picture's, and the frames' length."""
    task = client.submit(**body).json()["data"]["task_id"]

    done = client.ended(body["req_key"], task)

    assert film_of(client, tmp_path / "film.mp4", done) == film


@pytest.mark.parametrize("name", BY_NAME)
def test_every_model_takes_its_own_inputs(client: Client, name: str) -> None:
    """Every documented model accepts a prompt with the pictures and moves that are its own."""
    pictures = [LINK] * BY_NAME[name].pictures

    answer = client.submit(req_key=name, prompt="x", image_urls=pictures, **MOVES).json()

    assert (answer["code"], answer["status"], answer["message"]) == (10000, 10000, "Success")
    assert answer["request_id"]
    assert answer["time_elapsed"].endswith("ms")
    assert len(answer["data"]["task_id"]) == 19
    assert answer["data"]["task_id"].isdigit()


@pytest.mark.parametrize(
    "body",
    [
        {"req_key": TEXT, "prompt": "x", "seed": 0, "aspect_ratio": ""},
        {"req_key": TEXT, "prompt": "x", "image_url": LINK, "image_urls": [LINK, LINK]},
        {"req_key": "jimeng_vgfm_t2v_l20", "prompt": "x" * 200, "frames": 121},
        {"req_key": FIRST, "prompt": "x", "image_urls": [LINK], "aspect_ratio": "7:5"},
    ],
    ids=["empty", "pictures of no use", "S2.0 with frames", "ratio of no use"],
)
def test_what_the_service_is_known_to_overlook_is_overlooked(client: Client, body: dict[str, Any]) -> None:
    """Fields that other gateways send without need do no harm."""
    assert client.submit(**body).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"req_key": TEXT},
        {"req_key": TEXT, "prompt": 7},
        {"req_key": TEXT, "prompt": "x" * 801},
        {"req_key": TEXT, "prompt": "x", "frames": 100},
        {"req_key": TEXT, "prompt": "x", "frames": "121"},
        {"req_key": TEXT, "prompt": "x", "seed": -2},
        {"req_key": TEXT, "prompt": "x", "aspect_ratio": "9:21"},
        {"req_key": TEXT, "prompt": "x", "aspect_ratio": ["16:9"]},
        {"req_key": PRO},
        {"req_key": FIRST, "image_urls": [LINK]},
        {"req_key": FIRST, "prompt": "x"},
        {"req_key": FIRST, "prompt": "x", "image_urls": LINK},
        {"req_key": FIRST, "prompt": "x", "image_urls": ["cat.png"]},
        {"req_key": FIRST, "prompt": "x", "image_urls": ["https://nowhere.invalid/cat.png"]},
        {"req_key": FIRST, "prompt": "x", "image_urls": [LINK, LINK]},
        {"req_key": FIRST, "prompt": "x", "image_urls": [LINK], "binary_data_base64": [encoded(400, 400)]},
        {"req_key": FIRST, "prompt": "x", "binary_data_base64": ["data:image/png;base64," + encoded(400, 400)]},
        {"req_key": FIRST, "prompt": "x", "binary_data_base64": [b64encode(b"GIF89a").decode()]},
        {"req_key": FIRST, "prompt": "x", "binary_data_base64": [encoded(400, 318)]},
        {"req_key": FIRST, "prompt": "x", "binary_data_base64": [encoded(4098, 2000)]},
        {"req_key": FIRST, "prompt": "x", "binary_data_base64": [encoded(1000, 330)]},
        {"req_key": TAIL, "prompt": "x", "image_urls": [LINK]},
        {"req_key": TAIL, "prompt": "x", "binary_data_base64": [encoded(400, 400), encoded(500, 400)]},
        {"req_key": "jimeng_i2v_recamera_v30", "prompt": "x", "image_urls": [LINK], **MOVES, "template_id": "spin"},
        {"req_key": "jimeng_i2v_recamera_v30", "prompt": "x", "image_urls": [LINK], "template_id": "robo_arm"},
    ],
)
def test_a_bad_field_is_refused(client: Client, body: dict[str, Any]) -> None:
    """A field that breaks its rule ends in 400 with code 50215 and no data."""
    answer = client.submit(**body)

    assert answer.status_code == 400
    assert (answer.json()["code"], answer.json()["data"]) == (50215, None)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff"])
def test_a_body_that_is_no_object_is_refused(client: Client, body: bytes) -> None:
    """A body that is not a JSON object ends in 50215, once its signature is right."""
    assert client.send(SUBMIT, body).json()["code"] == 50215


@pytest.mark.parametrize(
    ("query", "changed", "status", "code"),
    [
        ("Version=2022-08-31", {}, 400, "MissingParameter"),
        ("Action=CVSync2AsyncSubmitTask", {}, 400, "MissingParameter"),
        (SUBMIT, {"Authorization": ""}, 401, "MissingAuthenticationToken"),
        (SUBMIT, {"Authorization": "Bearer simulator"}, 400, "InvalidAuthorization"),
        (SUBMIT, {"X-Date": ""}, 400, "MissingRequestInfo"),
        (SUBMIT, {"X-Date": "yesterday"}, 400, "InvalidTimestamp"),
        (SUBMIT, {"late": "910"}, 400, "InvalidTimestamp"),
        (SUBMIT, {"late": "-910"}, 400, "InvalidTimestamp"),
        (f"{SUBMIT}&X-Expires=60", {"late": "70"}, 400, "InvalidTimestamp"),
        (SUBMIT, {"key": "other"}, 401, "InvalidAccessKey"),
        (SUBMIT, {"secret": "other"}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"digest": "0" * 64}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"path": "/"}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"X-Content-Sha256": ""}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"Content-Type": f"{JSON}; charset=utf-8"}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"scope": "20250101/cn-north-1/cv/request"}, 401, "SignatureDoesNotMatch"),
        (SUBMIT, {"scope": "20250101/cn-north-1/ark/request"}, 404, "ServiceNotFound"),
        (SUBMIT, {"scope": "20250101/cn-beijing/cv/request"}, 400, "InvalidCredential"),
        ("Action=CVSync2AsyncSubmit&Version=2022-08-31", {}, 404, "InvalidActionOrVersion"),
        ("Action=CVSync2AsyncSubmitTask&Version=2024-06-06", {}, 404, "InvalidActionOrVersion"),
    ],
)
def test_the_gateway_refuses_in_its_own_words(
    client: Client, query: str, changed: dict[str, str], status: int, code: str
) -> None:
    """What is wrong with a request's signature is answered with the gateway's error, and no business code."""
    url, body = client.http.base_url, b'{"req_key":"nothing"}'
    instead = {name: value for name, value in changed.items() if name[0].isupper()}
    signing = {"path": "/jimeng/", **{name: value for name, value in changed.items() if name[0].islower()}}
    moment = clock(float(signing.pop("late", "0")))
    headers = signed(body, moment, query, host=f"{url.host}:{url.port}", **signing) | instead

    answer = client.http.post(f"/jimeng/?{query}", content=body, headers=headers)

    assert (answer.status_code, answer.json()["ResponseMetadata"]["Error"]["Code"]) == (status, code)
    assert list(answer.json()) == ["ResponseMetadata"]


def test_only_the_documented_minimum_need_be_signed(client: Client) -> None:
    """A request that signs host and date alone passes."""
    url, moment, body = client.http.base_url, clock(), b'{"req_key":"jimeng_t2v_v30","prompt":"x"}'
    headers = {"host": f"{url.host}:{url.port}", "x-date": moment}
    canonical = canonical_request("POST", "/jimeng/", SUBMIT, headers, sha256(body).hexdigest())
    scope = f"{moment[:8]}/{SCOPE}"
    right = signature("simulator-secret", scope, moment, canonical)
    sent = f"HMAC-SHA256 Credential=simulator/{scope}, SignedHeaders=host;x-date, Signature={right}"

    answer = client.http.post(
        f"/jimeng/?{SUBMIT}", content=body, headers={**headers, "content-type": JSON, "authorization": sent}
    )

    assert answer.status_code == 200


def test_another_models_name_opens_no_task(client: Client) -> None:
    """A task is found under the model that it was submitted with, and under no other."""
    task = client.submit(req_key=TEXT, prompt="x").json()["data"]["task_id"]

    other, unknown = client.poll(PRO, task), client.poll("nothing", task)

    assert [(answer.status_code, answer.json()["code"]) for answer in (other, unknown)] == [(401, 50400)] * 2


def test_an_unknown_task_is_not_found(client: Client) -> None:
    """A task that never was is answered 200 and `not_found`; a name that is no text is bad input."""
    answer = client.poll(TEXT, "1" * 19)

    assert (answer.status_code, answer.json()["data"]) == (200, {"status": "not_found"})
    assert client.poll(TEXT, 1111111111111111111).json()["code"] == 50215


def test_a_hidden_mark_is_reported(client: Client) -> None:
    """A poll that asks for the hidden mark is told that it is there; one that asks for it wrongly is refused."""
    task = client.submit(req_key=TEXT, prompt="x").json()["data"]["task_id"]
    mark = json.dumps({"aigc_meta": {"producer_id": "p", "content_propagator": "c"}})

    plain = client.ended(TEXT, task).json()["data"]

    assert plain["aigc_meta_tagged"] is False
    assert client.poll(TEXT, task, req_json=mark).json()["data"]["aigc_meta_tagged"] is True
    wrong = ("{", "[]", '{"aigc_meta": {}}', {"aigc_meta": None})
    assert [client.poll(TEXT, task, req_json=text).json()["code"] for text in wrong] == [50215] * 4


@pytest.mark.parametrize(("mode", "code"), [("moderate", 50516), ("fail", 50520)])
def test_a_task_that_fails_says_so_by_its_code(client: Client, mode: str, code: int) -> None:
    """A failed generation is a poll that ends in 400 with a code, and no data."""
    client.fault(op="submit", mode=mode)
    task = client.submit(req_key=TEXT, prompt="x").json()["data"]["task_id"]

    failed = client.ended(TEXT, task)

    assert (failed.status_code, failed.json()["code"], failed.json()["data"]) == (400, code, None)


@pytest.mark.parametrize(
    ("mode", "status", "code"),
    [("throttle", 429, 50429), ("moderate_submit", 400, 50412), ("error_before", 500, 50500)],
)
def test_faults_have_the_vendors_own_codes(client: Client, mode: str, status: int, code: int) -> None:
    """What is switched on comes in the service's envelope."""
    client.fault(op="submit", mode=mode)

    answer = client.submit(req_key=TEXT, prompt="x")

    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_other_faults_have_the_vendors_own_forms(client: Client) -> None:
    """A refusal is the gateway's, an unknown word is a status, a dead link is forbidden."""
    task = client.submit(req_key=TEXT, prompt="x").json()["data"]["task_id"]
    link = client.ended(TEXT, task).json()["data"]["video_url"]
    for op, mode in (("poll", "unknown_word"), ("submit", "refuse"), ("result", "expire")):
        client.fault(op=op, mode=mode)

    assert client.poll(TEXT, task).json()["data"]["status"] == "somewhere_else"
    assert client.submit(req_key=TEXT, prompt="x").status_code == 401
    assert client.http.get(link).status_code == 403
    assert client.http.get(link).status_code == 200


def test_the_ledger_knows_the_bodys_digest(client: Client) -> None:
    """An accepted task stands in the ledger with the SHA-256 of what was sent, and no reference: there is none."""
    body = json.dumps({"req_key": TEXT, "prompt": "to be found"}).encode()
    task = client.send(SUBMIT, body).json()["data"]["task_id"]

    line = client.http.get("/_simulator/ledger").json()[-1]

    assert (line["vendor"], line["id"], line["digest"]) == ("jimeng", task, sha256(body).hexdigest())
    assert (line["size"], line["seconds"], line["client_ref"]) == ("1248x704", 5, None)


Call = Callable[..., Any]


def make_local(options: Options) -> tuple[httpx.AsyncClient, Call]:
    """A client of a simulator in this process, and a way to call it."""
    http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(options)), base_url="http://sim")

    async def call(query: str, **body: Any) -> Any:
        data = json.dumps(body).encode()
        answer = await http.post(f"/?{query}", content=data, headers=signed(data, clock(), query, host="sim"))
        return answer.json()

    return http, call


async def test_a_crowd_is_refused_where_it_may_not_wait() -> None:
    """The third task of one model at a time is refused with 50430; another model's is not."""
    http, call = make_local(Options(only="jimeng", crowded="refuse"))

    async with http:
        codes = [(await call(SUBMIT, req_key=TEXT, prompt="x"))["code"] for _ in range(3)]
        other = await call(SUBMIT, req_key=PRO, prompt="x")

    assert codes == [10000, 10000, 50430]
    assert other["code"] == 10000


async def test_a_link_lives_an_hour_and_a_task_twelve(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an hour the link is dead and the task still done; after twelve the task is not found."""
    http, call = make_local(Options(only="jimeng", queue_seconds=0, render_seconds=0))
    now = time.time

    async with http:
        task = (await call(SUBMIT, req_key=TEXT, prompt="x"))["data"]["task_id"]
        link = (await call(POLL, req_key=TEXT, task_id=task))["data"]["video_url"]
        monkeypatch.setattr(time, "time", lambda: now() + jimeng.LINK_SECONDS)
        dead = (await http.get(link)).status_code
        done = await call(POLL, req_key=TEXT, task_id=task)
        monkeypatch.setattr(time, "time", lambda: now() + jimeng.TASK_SECONDS)
        gone = await call(POLL, req_key=TEXT, task_id=task)

    assert dead == 403
    assert done["data"]["status"] == "done"
    assert gone["data"]["status"] == "not_found"


async def test_shorter_lives_can_be_had() -> None:
    """The simulator's own lifetimes win where they are shorter."""
    http, call = make_local(
        Options(only="jimeng", queue_seconds=0, render_seconds=0, link_seconds=0, record_seconds=3600)
    )

    async with http:
        task = (await call(SUBMIT, req_key=TEXT, prompt="x"))["data"]["task_id"]
        link = (await call(POLL, req_key=TEXT, task_id=task))["data"]["video_url"]
        dead = await http.get(link)

    assert dead.status_code == 403


async def test_strictness_and_lateness_can_be_had() -> None:
    """Under `strict` S2.0 takes no frames and 150 characters; late, a bad request's task fails with its code."""
    old = {"req_key": "jimeng_vgfm_t2v_l20"}
    strict, call = make_local(Options(only="jimeng", strict=True))
    late, later = make_local(Options(only="jimeng", late_validation=True, queue_seconds=0))

    async with strict, late:
        refused = [
            await call(SUBMIT, **old, prompt="x", frames=121),
            await call(SUBMIT, **old, prompt="x" * 151),
        ]
        task = (await later(SUBMIT, req_key=TEXT))["data"]["task_id"]
        failed = await later(POLL, req_key=TEXT, task_id=task)

    assert [answer["code"] for answer in (*refused, failed)] == [50215] * 3


def test_it_says_what_points_a_gateway_at_it() -> None:
    """The gateway's variables hold both keys and the address."""
    assert jimeng.environment("http://sim/jimeng", "k") == {
        "VIDEOGATE_JIMENG_ACCESS_KEY": "k",
        "VIDEOGATE_JIMENG_SECRET_KEY": "k-secret",
        "VIDEOGATE_JIMENG_BASE_URL": "http://sim/jimeng",
    }
