"""Every Jimeng `req_key` says shape, length and pictures where its own page wants them, under Volcengine's signature.

The expectations are written out here once more, from https://www.volcengine.com/docs/85621/1777001 and its sister
pages, and https://www.volcengine.com/docs/6369/67269 for the signature (read 2026-11-23): a slip in the vendor's
tables must not hide in the tests.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from contract.replay import VENDORS, open_vendor, order_of, recorded
from videogate.task.errors import InvalidRequest, NotUnderstood, OutcomeUnknown, Refused, Throttled, Unavailable
from videogate.task.model import Fit, Observation, Receipt, Sight
from videogate.vendorkit.client import Prepared, Reply
from videogate.vendorkit.contract import Vendor
from videogate.vendors.jimeng import canonical_query, sign

RATIOS = ["16:9", "9:16", "1:1", "4:3", "3:4", "21:9"]
P720 = {"1248x704": "16:9", "704x1248": "9:16"}  # of the others no page tells the pixels
P1080 = {
    "2176x928": "21:9",
    "1920x1088": "16:9",
    "1664x1248": "4:3",
    "1440x1440": "1:1",
    "1248x1664": "3:4",
    "1088x1920": "9:16",
}
# Name: the `req_key` for no picture, one and two; None where it takes no such number.
KEYS: dict[str, tuple[str | None, str | None, str | None]] = {
    "jimeng_vgfm_t2v_l20": ("jimeng_vgfm_t2v_l20", None, None),
    "jimeng_vgfm_i2v_l20": (None, "jimeng_vgfm_i2v_l20", None),
    "jimeng_t2v_v30": ("jimeng_t2v_v30", None, None),
    "jimeng_i2v_first_v30": (None, "jimeng_i2v_first_v30", None),
    "jimeng_i2v_first_tail_v30": (None, None, "jimeng_i2v_first_tail_v30"),
    "jimeng_i2v_recamera_v30": (None, "jimeng_i2v_recamera_v30", None),
    "jimeng_t2v_v30_1080p": ("jimeng_t2v_v30_1080p", None, None),
    "jimeng_i2v_first_v30_1080": (None, "jimeng_i2v_first_v30_1080", None),
    "jimeng_i2v_first_tail_v30_1080": (None, None, "jimeng_i2v_first_tail_v30_1080"),
    "jimeng_ti2v_v30_pro": ("jimeng_ti2v_v30_pro", "jimeng_ti2v_v30_pro", None),
    "jimeng_v30": ("jimeng_t2v_v30", "jimeng_i2v_first_v30", "jimeng_i2v_first_tail_v30"),
    "jimeng_v30_1080p": ("jimeng_t2v_v30_1080p", "jimeng_i2v_first_v30_1080", "jimeng_i2v_first_tail_v30_1080"),
    "jimeng_v30_pro": ("jimeng_ti2v_v30_pro", "jimeng_ti2v_v30_pro", None),
}
USES = [(name, count, key) for name, keys in KEYS.items() for count, key in enumerate(keys) if key]
TEXT = [name for name, keys in KEYS.items() if keys[0]]
CAMERA = {"template_id": "dynamic_orbit", "camera_strength": "weak"}
LINKS = ["https://example.com/1.png", "https://example.com/2.png"]
TASK = "7392616336519610409"


@pytest.fixture
def vendor() -> Vendor:
    return open_vendor(VENDORS["jimeng"])[0]


def file(frame: str = "1280x720", mime: str = "image/png", content: str = "iVBORw0KGgo=") -> dict[str, Any]:
    return {"role": "reference", "file": {"mime": mime, "frame": frame, "base64": content}}


def links(count: int) -> list[dict[str, Any]]:
    return [{"role": "reference", "url": link} for link in LINKS[:count]]


def sent(vendor: Vendor, name: str, **asked: Any) -> dict[str, Any]:
    """The body of a request for a model; what recamera needs is added."""
    options = {**(CAMERA if "recamera" in name else {}), **asked.pop("options", {})}
    call = vendor.submit_call(order_of(vendor, {"model": name, "prompt": "a cat", **asked, "options": options}))
    assert (call.method, call.path) == ("POST", "/?Action=CVSync2AsyncSubmitTask&Version=2022-08-31")
    return dict(call.json)


# The signature


@dataclass(frozen=True)
class Vector:
    """A signature that is known, and what it was made of; `query` is in canonical form."""

    name: str
    signature: str
    access: str = "AKLTexampleaccesskeyid0001"
    secret: str = "TXlFeGFtcGxlU2VjcmV0QWNjZXNzS2V5MDAwMQ=="
    date: str = "20250805T065008Z"
    method: str = "POST"
    host: str = "visual.volcengineapi.com"
    query: str = "Action=CVSync2AsyncGetResult&Version=2022-08-31"
    raw_query: str = ""  # where it is asked in another form
    content_type: str | None = "application/json"
    more: tuple[tuple[str, str], ...] = ()
    body: str = f'{{"req_key":"jimeng_vgfm_t2v_l20","task_id":"{TASK}"}}'
    signed: str = "content-type;host;x-content-sha256;x-date"

    def __str__(self) -> str:
        return self.name

    @property
    def prepared(self) -> Prepared:
        kind = {"content-type": self.content_type} if self.content_type else {}
        url = f"https://{self.host}/?{self.raw_query or self.query}"
        return Prepared(self.method, url, {**kind, **dict(self.more)}, self.body.encode())

    @property
    def headers(self) -> dict[str, str]:
        """The headers as a server gets them."""
        own = {"host": self.host, "x-date": self.date, "x-content-sha256": hexdigest(self.body.encode())}
        return {**self.prepared.headers, **own}


VECTORS = [
    Vector(
        "the worked example",
        "396a0840c3c62b68b1d8f440a8b3baadb9db3d765f3fef782c8b91c0710560dd",
        date="20250805T064938Z",
        query="Action=CVSync2AsyncSubmitTask&Version=2022-08-31",
        body='{"req_key":"jimeng_vgfm_t2v_l20","prompt":"千军万马","seed":-1,"aspect_ratio":"16:9"}',
    ),
    Vector(
        "that of another gateway",
        "5cbe194cc35a9fe8a0dcf34cbfc8f10d2c989caa3059aa6fe4f186977c0fef7a",
        access="AKTEST",
        secret="SKTEST",
        date="20240115T120000Z",
        body='{"req_key":"jimeng_vgfm_t2v_l20","task_id":"abc"}',
    ),
    Vector("a look", "0d0b5a51fc019760031e8771baf76608fbf7e610675f5d03ed8d17765657e2bf"),
    Vector(
        "a host with a port",
        "232fe7359ea2da6d9088c18ab9f675dd7aa85729eafb0a53d505305d16d0906c",
        host="127.0.0.1:9001",
    ),
    Vector(
        "a port that is left out",
        "0d0b5a51fc019760031e8771baf76608fbf7e610675f5d03ed8d17765657e2bf",
        host="visual.volcengineapi.com:443",
    ),
    Vector(
        "a security token",
        "3988cd81328962f385371e8fe4ae9e98cab7008bd864e52e9e5d922d8f52b253",
        more=(("x-security-token", "STSexampletoken"),),
        signed="content-type;host;x-content-sha256;x-date;x-security-token",
    ),
    Vector(
        "a query of many signs",
        "65a6152f792f705db9be1d8c779c2a9ad0b025b840533d08d874f986883ab4f4",
        method="GET",
        query="Action=X&Key=a%20b%2Bc%2F%3D~%E4%B8%AD&Version=2022-08-31",
        raw_query="Version=2022-08-31&Key=a+b%2bc/%3D%7E中&Action=X",
        content_type=None,
        body="",
        signed="host;x-content-sha256;x-date",
    ),
]
# The least that the page wants signed; our signer always signs more.
LEAST = Vector(
    "the least",
    "22b2402c91b5f989750dda0fd071f4def643d83d1345cfba75b09320f72b4b96",
    content_type=None,
    signed="host;x-date",
)


def hexdigest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def verified(method: str, query: str, headers: Mapping[str, str], signed: str, body: bytes, secret: str) -> str:
    """The signature as a server computes it, from what it received; written apart from the vendor's."""
    date = headers["x-date"]
    scope = [date[:8], "cn-north-1", "cv", "request"]
    host = re.sub(r":(80|443)$", "", headers["host"])
    lines = [f"{name}:{(host if name == 'host' else headers[name]).strip()}" for name in signed.split(";")]
    canonical = "\n".join([method, headers.get(":path", "/"), query, *lines, "", signed, hexdigest(body)])
    told = f"HMAC-SHA256\n{date}\n{'/'.join(scope)}\n{hexdigest(canonical.encode())}"
    key = secret.encode()
    for word in [*scope, told]:
        key = hmac.digest(key, word.encode(), "sha256")
    return key.hex()


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_signature_is_that_of_the_vectors(vector: Vector) -> None:
    """Every known signature comes out of our signer, with the headers that it covers named in order."""
    made = sign(vector.prepared, vector.access, vector.secret, vector.date)

    credential = f"{vector.access}/{vector.date[:8]}/cn-north-1/cv/request"
    assert made == {
        "x-date": vector.date,
        "x-content-sha256": hexdigest(vector.body.encode()),
        "authorization": (
            f"HMAC-SHA256 Credential={credential}, SignedHeaders={vector.signed}, Signature={vector.signature}"
        ),
    }
    assert canonical_query(vector.raw_query or vector.query) == vector.query


@pytest.mark.parametrize("vector", [*VECTORS, LEAST], ids=str)
def test_a_server_comes_to_the_same_signature(vector: Vector) -> None:
    """The vectors hold for a second implementation too, by which the requests that leave are verified here."""
    made = verified(
        vector.method, vector.query, vector.headers, vector.signed, vector.body.encode(), secret=vector.secret
    )

    assert made == vector.signature


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        ("", ""),
        ("b=2&a=1", "a=1&b=2"),
        ("a=2&A=1&a=1", "A=1&a=2&a=1"),
        ("a=&b", "a=&b="),
        ("k=%E4%B8%AD", "k=%E4%B8%AD"),
        ("k=-_.~*'()!", "k=-_.~%2A%27%28%29%21"),
    ],
)
def test_a_query_is_signed_in_one_form(query: str, canonical: str) -> None:
    """Names are in order, repeated ones as they came, and all but the unreserved signs are encoded."""
    assert canonical_query(query) == canonical


@pytest.mark.parametrize("vector", VECTORS, ids=str)
def test_the_official_signer_agrees(vector: Vector, monkeypatch: pytest.MonkeyPatch) -> None:
    """The vendor's own Python SDK signs the same request alike."""
    signer = pytest.importorskip("volcengine.auth.SignerV4").SignerV4
    request = pytest.importorskip("volcengine.base.Request").Request()
    credentials = pytest.importorskip("volcengine.Credentials").Credentials
    monkeypatch.setattr(signer, "get_current_format_date", staticmethod(lambda: vector.date))
    request.method, request.path, request.body = vector.method, "/", vector.body.encode()
    request.query = dict(httpx.QueryParams(vector.query))
    request.headers = {name.title(): value for name, value in vector.prepared.headers.items()} | {"Host": vector.host}

    signer.sign(request, credentials(vector.access, vector.secret, "cv", "cn-north-1", ""))

    made = sign(vector.prepared, vector.access, vector.secret, vector.date)
    assert made["authorization"] == request.headers["Authorization"]
    assert made["x-content-sha256"] == request.headers["X-Content-Sha256"]


@pytest.mark.parametrize(
    "base_url", ["https://visual.volcengineapi.com", "http://127.0.0.1:9001", "https://api.vendor.test:443/"]
)
async def test_what_leaves_is_what_was_signed(base_url: str) -> None:
    """A server that verifies host, content type and body as it received them agrees, on submit and on poll."""
    kind = VENDORS["jimeng"]
    submit, look = recorded("jimeng")["submit_accepted"], recorded("jimeng")["poll_running"]
    vendor, wire = open_vendor(kind, submit.answer, look.answer, base_url=base_url)

    await vendor.poll(await vendor.submit(vendor.prepare(order_of(vendor, submit.asked or {}))))

    assert len(wire.sent) == 2
    for request in wire.sent:
        told = re.fullmatch(
            r"HMAC-SHA256 Credential=canary-access_key-7f3a9c/20231114/cn-north-1/cv/request, "
            r"SignedHeaders=(content-type;host;x-content-sha256;x-date), Signature=([0-9a-f]{64})",
            request.headers["authorization"],
        )
        assert told
        query = request.url.query.decode()
        secret = vendor.config.secret_key.get_secret_value()
        assert told[2] == verified("POST", query, request.headers, told[1], request.content, secret)
        assert request.headers["content-type"] == "application/json"
        assert request.headers["x-content-sha256"] == hexdigest(request.content)


# What is asked


def test_the_models_are_those_of_the_pages(vendor: Vendor) -> None:
    """No model is missing, none is invented."""
    assert vendor.models.keys() == KEYS.keys()


@pytest.mark.parametrize(("name", "count", "key"), USES)
def test_the_pictures_choose_the_req_key(vendor: Vendor, name: str, count: int, key: str) -> None:
    """A name stands for the `req_key` that takes so many pictures, and the pictures go into one field in order."""
    linked = sent(vendor, name, pictures=links(count))
    filed = sent(vendor, name, pictures=[file(content="AAAA"), file(content="BBBB")][:count])

    assert linked["req_key"] == filed["req_key"] == key
    assert linked.get("image_urls", []) == LINKS[:count]
    assert filed.get("binary_data_base64", []) == ["AAAA", "BBBB"][:count]
    assert "binary_data_base64" not in linked
    assert "image_urls" not in filed


@pytest.mark.parametrize("name", KEYS)
def test_a_number_of_pictures_that_no_req_key_takes_is_refused(vendor: Vendor, name: str) -> None:
    """Nothing is sent that the vendor would make without the pictures, or refuse."""
    for count, key in enumerate((*KEYS[name], None)):
        if key is None:
            pictures = [{"role": "reference", "url": f"https://example.com/{n}.png"} for n in range(count)]
            with pytest.raises(InvalidRequest) as caught:
                sent(vendor, name, pictures=pictures)

            assert caught.value.param in {"input_reference", "last_frame"}


@pytest.mark.parametrize("name", [name for name, keys in KEYS.items() if keys[2]])
@pytest.mark.parametrize("first_is_link", [True, False])
def test_a_link_and_a_file_do_not_go_together(vendor: Vendor, name: str, first_is_link: bool) -> None:
    """There is a field for either, and only one may be sent."""
    pictures = [*links(1), file()] if first_is_link else [file(), *links(1)]

    with pytest.raises(InvalidRequest, match="two links or two files"):
        sent(vendor, name, pictures=pictures)


ONE_PICTURE = pytest.mark.parametrize("name", [name for name, keys in KEYS.items() if keys[1]])


@pytest.mark.parametrize(
    "picture",
    [file("320x960"), file("4096x4096", "image/jpeg"), file(content="AAAA" * (4_700_000 // 3))],
    ids=["long", "big", "heavy"],
)
@ONE_PICTURE
def test_pictures_within_the_pages_limits_are_sent(vendor: Vendor, name: str, picture: dict[str, Any]) -> None:
    """JPEG or PNG, 320 to 4096 pixels, at most three times as long as wide, without a head before the base64."""
    body = sent(vendor, name, pictures=[picture])

    assert body["binary_data_base64"] == [picture["file"]["base64"]]


@pytest.mark.parametrize(
    "picture",
    [
        file("319x640"),
        file("4097x4096"),
        file("320x961"),
        file(mime="image/webp"),
        file(content="AAAA" * (4_700_000 // 3 + 1)),
    ],
    ids=["small", "big", "long", "webp", "heavy"],
)
@ONE_PICTURE
def test_other_pictures_are_refused(vendor: Vendor, name: str, picture: dict[str, Any]) -> None:
    """The caller is told before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, name, pictures=[picture])

    assert caught.value.param == "input_reference"


@pytest.mark.parametrize(("name", "count", "key"), USES)
def test_a_length_is_said_in_frames(vendor: Vendor, name: str, count: int, key: str) -> None:
    """24 a second and one more, as a number; the second generation has one length and no word for it."""
    made = [sent(vendor, name, pictures=links(count), seconds=seconds) for seconds in ("5", "10")]
    plain = sent(vendor, name, pictures=links(count))

    if "vgfm" in key:
        assert not [each for each in (*made, plain) if "frames" in each]
    else:
        assert [each["frames"] for each in (*made, plain)] == [121, 241, 121]


@pytest.mark.parametrize(("seconds", "frames"), [("1", 121), ("7", 121), ("8", 241), ("60", 241)])
def test_other_lengths_become_the_nearest(vendor: Vendor, seconds: str, frames: int) -> None:
    """Five or ten seconds are made, whatever is asked."""
    assert sent(vendor, "jimeng_t2v_v30", seconds=seconds)["frames"] == frames
    with pytest.raises(InvalidRequest):
        sent(vendor, "jimeng_t2v_v30", seconds=seconds, fit=Fit.STRICT)


def test_frames_may_be_counted_by_the_caller(vendor: Vendor) -> None:
    """Callers of the vendor's own field get what they say, unless they say seconds, too."""
    assert sent(vendor, "jimeng_t2v_v30", options={"frames": "241"})["frames"] == 241
    assert sent(vendor, "jimeng_t2v_v30", options={"frames": 241}, seconds="5")["frames"] == 121
    assert "frames" not in sent(vendor, "jimeng_vgfm_t2v_l20", options={"frames": 241})


@pytest.mark.parametrize("frames", [100, 0, -1, 242, "many", True, 121.5])
def test_frames_that_are_not_made_are_refused(vendor: Vendor, frames: Any) -> None:
    """The page has two counts; the caller reads which before anything is sent."""
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, "jimeng_t2v_v30", options={"frames": frames})

    assert caught.value.param == "metadata.frames"


@pytest.mark.parametrize("name", TEXT)
def test_a_shape_is_sent_for_text(vendor: Vendor, name: str) -> None:
    """All six ratios of the page can be asked for, and each size says the nearest."""
    sizes = P1080 if "1080" in name or "pro" in name else P720
    made = [sent(vendor, name, aspect_ratio=ratio, fit=Fit.STRICT)["aspect_ratio"] for ratio in RATIOS]
    sized = [sent(vendor, name, size=size, fit=Fit.STRICT)["aspect_ratio"] for size in sizes]

    assert made == RATIOS
    assert sized == list(sizes.values())
    assert sent(vendor, name, size="1280x720")["aspect_ratio"] == "16:9"
    assert sent(vendor, name, size="720*1280")["aspect_ratio"] == "9:16"


@pytest.mark.parametrize(("name", "count", "key"), [use for use in USES if use[1] and "vgfm" not in use[2]])
def test_no_shape_is_sent_beside_a_picture(vendor: Vendor, name: str, count: int, key: str) -> None:
    """The third generation takes the shape of the picture, whatever is asked."""
    for pictures in (links(count), [file(), file()][:count]):
        body = sent(vendor, name, pictures=pictures, size="720x1280", options={"aspect_ratio": "1:1"})

        assert body["req_key"] == key
        assert "aspect_ratio" not in body


@pytest.mark.parametrize(
    ("frame", "ratio"),
    [
        ("2560x1072", "21:9"),
        ("936x1664", "9:16"),
        ("800x600", "4:3"),
        ("1000x1010", "1:1"),
        ("720x960", "3:4"),
        ("1280x720", "16:9"),
    ],
)
def test_the_second_generation_is_told_the_shape_of_a_picture(vendor: Vendor, frame: str, ratio: str) -> None:
    """It does not look for itself: it gets the ratio nearest to the picture, whatever size is asked."""
    for asked in ({}, {"size": "720x1280"}):
        assert sent(vendor, "jimeng_vgfm_i2v_l20", pictures=[file(frame)], **asked)["aspect_ratio"] == ratio


def test_the_shape_behind_a_link_is_not_guessed(vendor: Vendor) -> None:
    """Nobody knows it here: a ratio is sent only if the caller names one."""
    assert "aspect_ratio" not in sent(vendor, "jimeng_vgfm_i2v_l20", pictures=links(1))
    asked = sent(vendor, "jimeng_vgfm_i2v_l20", pictures=links(1), aspect_ratio="9:16")
    assert asked["aspect_ratio"] == "9:16"


@pytest.mark.parametrize("missing", CAMERA)
def test_recamera_needs_both_its_options(vendor: Vendor, missing: str) -> None:
    """Without a movement or its strength the caller is told before anything is sent."""
    options = {key: value for key, value in CAMERA.items() if key != missing}

    with pytest.raises(InvalidRequest) as caught:
        order_of(vendor, {"model": "jimeng_i2v_recamera_v30", "prompt": "x", "pictures": links(1), "options": options})

    assert caught.value.param == f"metadata.{missing}"


def test_only_recamera_is_told_a_movement(vendor: Vendor) -> None:
    """Its options mean nothing to the others; to it they go as they are."""
    for name, count, key in USES:
        body = sent(vendor, name, pictures=links(count), options=CAMERA)

        assert (CAMERA.items() <= body.items()) is ("recamera" in key)
        assert ("template_id" in body) is ("recamera" in key)


@pytest.mark.parametrize(("name", "count", "key"), USES)
def test_nothing_is_sent_that_was_not_asked_for(vendor: Vendor, name: str, count: int, key: str) -> None:
    """The vendor's own defaults stay the vendor's; a seed is a number, and an empty one is none."""
    body = sent(vendor, name, pictures=links(count), options={"seed": ""})
    seeded = sent(vendor, name, pictures=links(count), options={"seed": "-1"})

    assert body.keys() <= {"req_key", "prompt", "image_urls", "frames", "aspect_ratio", *CAMERA}
    assert seeded == {**body, "seed": -1}


@pytest.mark.parametrize(("name", "count", "key"), USES)
def test_a_prompt_is_asked_for_where_the_page_wants_one(vendor: Vendor, name: str, count: int, key: str) -> None:
    """3.0 Pro and the second generation make a film of a picture alone."""
    if count and key in {"jimeng_ti2v_v30_pro", "jimeng_vgfm_i2v_l20"}:
        assert "prompt" not in sent(vendor, name, pictures=links(count), prompt="")
        return
    with pytest.raises(InvalidRequest) as caught:
        sent(vendor, name, pictures=links(count), prompt="")

    assert caught.value.param == "prompt"


# What is answered


def answer(code: int, message: str, data: Any = None, status: int = 400) -> httpx.Response:
    return httpx.Response(status, json={"code": code, "message": message, "data": data, "status": code})


def denial(code: str, message: str = "Words.", status: int = 401) -> httpx.Response:
    return httpx.Response(
        status, json={"ResponseMetadata": {"RequestId": "r", "Error": {"Code": code, "Message": message}}}
    )


def read(response: httpx.Response) -> Reply:
    return Reply(response.status_code, {}, response.content, "")


async def looked(response: httpx.Response) -> Observation:
    vendor, _ = open_vendor(VENDORS["jimeng"], response)
    return await vendor.poll(Receipt(TASK, {"req_key": "jimeng_t2v_v30"}))


async def submitted(response: httpx.Response) -> Receipt:
    vendor, _ = open_vendor(VENDORS["jimeng"], response)
    return await vendor.submit(vendor.prepare(order_of(vendor, recorded("jimeng")["submit_accepted"].asked or {})))


@pytest.mark.parametrize(("name", "count", "key"), USES)
async def test_a_look_repeats_the_req_key(name: str, count: int, key: str) -> None:
    """The receipt keeps what a look must say again, and the id stays text even if it came as a number."""
    answers = [answer(10000, "Success", {"task_id": each}, 200) for each in (TASK, int(TASK))]
    vendor, _ = open_vendor(VENDORS["jimeng"], *answers)
    options = CAMERA if "recamera" in name else {}
    asked = {"model": name, "prompt": "x", "pictures": links(count), "options": options}
    for _ in answers:
        receipt = await vendor.submit(vendor.prepare(order_of(vendor, asked)))

        assert receipt == Receipt(TASK, {"req_key": key})
        call = vendor.poll_call(receipt)
        assert call.path == "/?Action=CVSync2AsyncGetResult&Version=2022-08-31"
        assert call.json == {"req_key": key, "task_id": TASK}


@pytest.mark.parametrize(
    ("code", "ours", "on_a_look"),
    [
        (50218, "moderation_blocked", "failed"),
        (50411, "moderation_blocked", "failed"),
        (50412, "moderation_blocked", "failed"),
        (50413, "moderation_blocked", "failed"),
        (50511, "moderation_blocked", "failed"),
        (50512, "moderation_blocked", "failed"),
        (50513, "moderation_blocked", "failed"),
        (50514, "moderation_blocked", "failed"),
        (50516, "moderation_blocked", "failed"),
        (50517, "moderation_blocked", "failed"),
        (50518, "moderation_blocked", "failed"),
        (50519, "moderation_blocked", "failed"),
        (50520, "vendor_error", "failed"),
        (50521, "vendor_error", "failed"),
        (50522, "vendor_error", "failed"),
        (50215, "invalid_request", "missing"),
        (50204, "model_unavailable", None),
        (50400, "model_unavailable", None),
        (30403, "model_unavailable", None),
        (30404, "model_unavailable", None),
        (50200, "vendor_error", None),
        (59999, "vendor_error", None),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 401])
async def test_the_documented_codes(code: int, ours: str, on_a_look: str | None, status: int) -> None:
    """A code refuses a submit; on a look only those of what was made, or of a lost job, end the job."""
    with pytest.raises(Refused) as caught:
        await submitted(answer(code, "Words.", status=status))

    assert caught.value.failure.code.value == ours
    assert (caught.value.failure.vendor_code, caught.value.failure.vendor_message) == (str(code), "Words.")
    if on_a_look is None:
        with pytest.raises(NotUnderstood):
            await looked(answer(code, "Words.", status=status))
        return
    seen = await looked(answer(code, "Words.", status=status))
    assert (seen.sight.value, seen.word) == (on_a_look, str(code))
    assert seen.failure == (caught.value.failure if seen.sight is Sight.FAILED else None)


@pytest.mark.parametrize(
    ("code", "status", "ours"),
    [
        ("MissingAuthenticationToken", 401, "vendor_credentials_refused"),
        ("MissingSignature", 401, "vendor_credentials_refused"),
        ("InvalidTimestamp", 400, "vendor_credentials_refused"),
        ("InvalidTimestamp", 403, "vendor_credentials_refused"),
        ("InvalidAccessKey", 401, "vendor_credentials_refused"),
        ("SignatureDoesNotMatch", 401, "vendor_credentials_refused"),
        ("LackPolicy", 403, "vendor_credentials_refused"),
        ("AccessDenied", 403, "vendor_credentials_refused"),
        ("InvalidAuthorization", 400, "vendor_credentials_refused"),
        ("InvalidCredential", 400, "vendor_credentials_refused"),
        ("InvalidSecretToken", 401, "vendor_credentials_refused"),
        ("MissingParameter", 400, "vendor_error"),
        ("MissingRequestInfo", 400, "vendor_error"),
        ("ServiceNotFound", 404, "vendor_error"),
        ("InvalidActionOrVersion", 404, "vendor_error"),
        ("NeverSeen", 400, "vendor_error"),
    ],
)
async def test_the_gateways_codes(code: str, status: int, ours: str) -> None:
    """What the gateway before the service refuses was never a job; of a job that is looked at it says nothing."""
    with pytest.raises(Refused) as caught:
        await submitted(denial(code, status=status))
    with pytest.raises(NotUnderstood):
        await looked(denial(code, status=status))

    assert caught.value.failure.code.value == ours
    assert (caught.value.failure.vendor_code, caught.value.failure.vendor_message) == (code, "Words.")


@pytest.mark.parametrize(
    "limit",
    [
        answer(50429, "Request Has Reached API Limit, Please Try Later", status=429),
        answer(50430, "Request Has Reached API Concurrent Limit, Please Try Later", status=429),
        answer(50430, "Request Has Reached API Concurrent Limit, Please Try Later", status=200),
        denial("FlowLimitExceeded", status=429),
    ],
)
async def test_a_limit_is_a_later(limit: httpx.Response) -> None:
    """Nothing was created, nothing is known of a job; a code that nobody documents counts by its 429."""
    with pytest.raises(Throttled):
        await submitted(limit)
    with pytest.raises(Throttled):
        await looked(limit)


@pytest.mark.parametrize("status", [200, 400, 500, 502])
@pytest.mark.parametrize("code", [50500, 50501, "InternalError", "FailToConnect", "InternalServiceTimeout"])
async def test_trouble_inside_decides_nothing(code: int | str, status: int) -> None:
    """Under any status a job may have come of the submit, and the one that is looked at goes on."""
    trouble = denial(code, status=status) if isinstance(code, str) else answer(code, "Internal Error", status=status)

    with pytest.raises(OutcomeUnknown):
        await submitted(trouble)
    with pytest.raises(Unavailable if status >= 500 else NotUnderstood):
        await looked(trouble)


async def test_the_code_is_read_before_the_status() -> None:
    """What stands beside a code other than that of success is no record, whatever it says."""
    done = {"status": "done", "video_url": "https://example.com/v.mp4"}
    seen = await looked(answer(50516, "Post Video Risk Not Pass", done, 200))

    assert (seen.sight, seen.artifact) == (Sight.FAILED, None)
    for code in (50400, 0, 1, 200):
        with pytest.raises(NotUnderstood):
            await looked(answer(code, "x", done, 200))
    for word in ("done", "expired", "not_found", "in_queue"):
        with pytest.raises(NotUnderstood):
            await looked(httpx.Response(200, json={"code": word, "message": "x", "data": done}))


@pytest.mark.parametrize(
    "data", [{}, {"video_url": ""}, {"video_url": None}, {"image_urls": ["https://example.com/a"]}]
)
async def test_done_without_a_video_is_not_understood(data: dict[str, Any]) -> None:
    """A link to anything but a video is none."""
    with pytest.raises(NotUnderstood, match="video_url"):
        await looked(answer(10000, "Success", {"status": "done", **data}, 200))


@pytest.mark.parametrize("word", ["not_found", "expired"])
async def test_a_job_that_is_gone_is_missing(word: str) -> None:
    """The page has two words for it."""
    assert (await looked(answer(10000, "Success", {"status": word}, 200))).sight is Sight.MISSING


@pytest.mark.parametrize(
    "body",
    [
        {"code": 10000, "message": "Success", "data": None},
        {"code": 404, "message": "a proxy's"},
        {"code": 0, "message": "another API's"},
        {"code": "50412", "message": "a text is not Jimeng's"},
        {"code": 50412},
        {"code": 50412, "message": None},
        {"code": True, "message": "x"},
        {"code": 50412, "message": "x", "data": {"task_id": TASK}},
        {"message": "no Route matched"},
        {"ResponseMetadata": {"RequestId": "r"}},
        {"ResponseMetadata": {"Error": {"Code": 100010, "Message": "x"}}},
        {"ResponseMetadata": {"Error": {"Code": "", "Message": "x"}}},
        {"ResponseMetadata": {"Error": {"Code": "SignatureDoesNotMatch"}}},
        {"ResponseMetadata": {"Error": "SignatureDoesNotMatch"}},
    ],
)
def test_only_the_documented_form_is_a_refusal(vendor: Vendor, body: dict[str, Any]) -> None:
    """A number of five digits or the gateway's word, a text beside it, and no task."""
    assert vendor.read_refusal(read(httpx.Response(400, json=body))) is None


def test_a_picture_for_a_model_without_one_is_not_left_out(vendor: Vendor) -> None:
    """The vendor would make a film of the text alone, and charge for it."""
    with pytest.raises(InvalidRequest, match="takes no picture"):
        sent(vendor, "jimeng_t2v_v30", pictures=links(1))
