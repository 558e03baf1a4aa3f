"""What a receiver gets: the body, and signatures that OpenAI's SDK and the specification's own library accept."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from openai import InvalidWebhookSignatureError, OpenAI
from standardwebhooks import Webhook, WebhookVerificationError

from unit.store.support import NOW
from unit.store.test_deliveries import endpoint
from videogate.engine import letters, schedule
from videogate.engine.tell import judge
from videogate.task.webhook import Delivery, DeliveryState, Letter

SERVER = b"the server's own secret"


def delivery(**changes: Any) -> Delivery:
    """A delivery to an endpoint, before its first try."""
    made = Delivery(
        id="wh_1",
        endpoint_id="we_all",
        url=None,
        owner=None,
        task_id="video_1",
        event_number=7,
        event_at=NOW + 0.9,
        type="video.completed",
        state=DeliveryState.PENDING,
        tries=1,
        failures=0,
        due_at=NOW,
        last_status=None,
        last_error=None,
        created_at=NOW,
        delivered_at=None,
    )
    return replace(made, **changes)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> float:
    """The time that both libraries read; theirs is a float."""
    monkeypatch.setattr("time.time", lambda: NOW)
    return NOW


def unwrapped(content: bytes, headers: dict[str, str], secret: str) -> Any:
    """What OpenAI's SDK makes of a letter."""
    return OpenAI(api_key="x").webhooks.unwrap(content, headers, secret=secret)


def test_the_body_is_openais() -> None:
    """These fields and no others; every try has the same."""
    body = letters.body_of(delivery())

    assert json.loads(body) == {
        "id": delivery().event_id,
        "object": "event",
        "created_at": int(NOW),
        "type": "video.completed",
        "data": {"id": "video_1"},
    }
    assert letters.body_of(delivery(tries=5, failures=4, due_at=NOW + 99)) == body
    assert delivery().event_id.startswith("evt_")


def test_openais_sdk_accepts_a_letter(now: float) -> None:
    """With the endpoint's secret, and with no other; not if a byte of it is changed."""
    secret, content = letters.new_secret(), letters.body_of(delivery())
    headers = letters.headers("wh_1", content, [secret], now)

    event = unwrapped(content, headers, secret)
    assert (event.type, event.data.id) == ("video.completed", "video_1")
    for body, of_headers, other in (
        (content, headers, letters.new_secret()),
        (content.replace(b"video_1", b"video_2"), headers, secret),
        (content, {**headers, "webhook-id": "wh_2"}, secret),
        (content, {**headers, "webhook-timestamp": str(int(now) + 1)}, secret),
    ):
        with pytest.raises(InvalidWebhookSignatureError):
            unwrapped(body, of_headers, other)


def test_the_specifications_library_accepts_a_letter() -> None:
    """It reads the machine's clock."""
    import time  # noqa: PLC0415 (the clock of this one test)

    secret, content = letters.new_secret(), letters.body_of(delivery())
    headers = letters.headers("wh_1", content, [secret], time.time())

    assert Webhook(secret).verify(content, headers)["data"] == {"id": "video_1"}
    with pytest.raises(WebhookVerificationError):
        Webhook(letters.new_secret()).verify(content, headers)


def test_a_secret_is_as_receivers_expect_it() -> None:
    """The prefix, and base64 of at least 24 bytes; each one is another."""
    for secret in (letters.new_secret(), letters.key_secret(SERVER, "key_1")):
        assert secret.startswith("whsec_")
        assert len(base64.b64decode(secret.removeprefix("whsec_"), validate=True)) == 32
    assert letters.new_secret() != letters.new_secret()


def test_a_keys_secret_follows_from_the_key() -> None:
    """It is the same whenever it is asked for, and another for another key or on another server."""
    found = letters.key_secret(SERVER, "key_1")

    assert letters.key_secret(SERVER, "key_1") == found
    assert len({found, letters.key_secret(SERVER, "key_2"), letters.key_secret(b"other", "key_1")}) == 3


def test_after_a_rotation_both_secrets_sign_for_a_while(now: float) -> None:
    """Then the new one alone does."""
    old, new, content = letters.new_secret(), letters.new_secret(), b"{}"
    rotated = endpoint("all", secret=new, old_secret=old, old_secret_until=now + 10)
    letter = Letter(delivery(), rotated)

    for later, good in ((0, [old, new]), (11, [new])):
        secrets = letters.secrets_of(letter, SERVER, now + later)
        headers = letters.headers("wh_1", content, secrets, now)
        assert [each for each in (old, new) if each in secrets] == good
        assert len(headers["webhook-signature"].split(" ")) == len(good)
        for secret in good:
            unwrapped(content, headers, secret)


def test_a_link_of_a_request_is_signed_with_its_keys_secret() -> None:
    """There is no endpoint that has one."""
    linked = Letter(delivery(endpoint_id=None, url="https://a.test/", owner="key_1"), None)

    assert letters.secrets_of(linked, SERVER, NOW) == (letters.key_secret(SERVER, "key_1"),)
    assert linked.url == "https://a.test/"


def test_nobody_prints_a_secret_by_mistake() -> None:
    """It is not in the text of an endpoint, which may come into a log."""
    assert "whsec_" not in repr(Letter(delivery(), endpoint("all", old_secret="whsec_old")))


def test_tries_are_spread_over_three_days() -> None:
    """The second comes within seconds, no wait is shorter than the one before, and the last ends within 72 hours."""
    waits: list[float] = []
    while (wait := schedule.next_tell(failures=len(waits) + 1, jitter=0)) is not None:
        waits.append(wait)

    assert waits[0] == 5
    assert waits == sorted(waits)
    assert 71 * 3600 < sum(waits) <= 72 * 3600
    for jitter in (-1, 1):
        spread = schedule.next_tell(failures=3, jitter=jitter)
        assert spread is not None
        assert 0.8 * waits[2] <= spread <= 1.2 * waits[2]


def test_what_a_try_comes_to() -> None:
    """2xx is delivered, 410 disables, everything else waits for its time, and after the last try it is given up."""
    for good in (200, 201, 204, 299):
        assert judge(delivery(failures=3), good, None, now=NOW, jitter=0).state is DeliveryState.DELIVERED
    for status in (302, 400, 404, 429, 500, None):
        outcome = judge(delivery(), status, "x", now=NOW, jitter=0)
        assert (outcome.state, outcome.failures, outcome.due_at) == (DeliveryState.PENDING, 1, NOW + 5)
        assert outcome.disable is None
    gone = judge(delivery(), 410, "x", now=NOW, jitter=0)
    assert gone.state is DeliveryState.GIVEN_UP
    assert gone.disable
    last = judge(delivery(failures=9), 500, "x", now=NOW, jitter=0)
    assert (last.state, last.failures, last.disable) == (DeliveryState.GIVEN_UP, 10, None)
