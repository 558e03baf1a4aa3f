"""Letters: a webhook's body and signature, in OpenAI's form and by the Standard Webhooks specification."""

import json
from base64 import b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from hashlib import sha256
from hmac import new as hmac
from secrets import token_bytes

from standardwebhooks import Webhook

from videogate.task.webhook import Delivery, Letter

PREFIX = "whsec_"
SECRET_BYTES = 32


def new_secret() -> str:
    """A secret that signs: what receivers are given."""
    return _secret(token_bytes(SECRET_BYTES))


def key_secret(server_secret: bytes, key_id: str) -> str:
    """What signs the letters to the links in a key's requests. It follows from the key, so it is stored nowhere."""
    return _secret(hmac(server_secret, f"webhook\n{key_id}".encode(), sha256).digest())


def body(kind: str, event_id: str, created_at: float, video_id: str) -> bytes:
    """What a receiver reads: which event it is, and of which video; the rest it asks for."""
    event = {
        "id": event_id,
        "object": "event",
        "created_at": int(created_at),
        "type": kind,
        "data": {"id": video_id},
    }
    return json.dumps(event, separators=(",", ":")).encode()


def body_of(delivery: Delivery) -> bytes:
    """The body of a delivery: the same in every try."""
    return body(delivery.type, delivery.event_id, delivery.event_at, delivery.task_id)


def headers(webhook_id: str, content: bytes, secrets: Iterable[str], now: float) -> dict[str, str]:
    """The headers of one try; `webhook-id` alone is that of the others."""
    at = datetime.fromtimestamp(int(now), UTC)
    signatures = (Webhook(secret).sign(webhook_id, at, content.decode()) for secret in secrets)
    return {
        "content-type": "application/json",
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": " ".join(signatures),
    }


def secrets_of(letter: Letter, server_secret: bytes, now: float) -> tuple[str, ...]:
    """What signs a letter: its endpoint's secrets, or that of the key in whose request the link came."""
    if letter.endpoint is not None:
        return letter.endpoint.secrets(now)
    return (key_secret(server_secret, letter.delivery.owner or ""),)


def _secret(content: bytes) -> str:
    return PREFIX + b64encode(content).decode()
