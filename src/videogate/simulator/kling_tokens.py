"""Kling's bearers: an API key, or a JSON Web Token that an access key's secret signs.

https://kling.ai/document-api/api-authentication, read 2026-11-23; RFC 7519.
"""

import hmac
import json
from base64 import b64decode
from hashlib import sha256
from math import isfinite
from typing import Any

EMPTY, INVALID, TOO_EARLY, EXPIRED = 1001, 1002, 1003, 1004  # what is wrong, as the vendor counts it
HEADER = {"alg": "HS256", "typ": "JWT"}


def secret_of(key: str) -> str:
    """The secret key that belongs to an access key."""
    return f"{key}-secret"


def check(authorization: str, key: str, now: float, *, strict: bool = False) -> int | None:
    """What is wrong with an Authorization header; None if it is right for `key`, as an API key or an access key.

    `strict` takes only what the page shows: that very header, and all three claims.
    """
    if not authorization:
        return EMPTY
    scheme, _, bearer = authorization.partition(" ")
    if scheme != "Bearer":
        return INVALID
    if hmac.compare_digest(bearer.encode(), key.encode()):
        return None
    try:
        claims = _claims(bearer, key, strict)
    except ValueError:
        return INVALID
    # No page says what comes of a token that is wrong in two ways, or of one for an unknown access key.
    if claims["exp"] <= now:
        return EXPIRED
    return TOO_EARLY if claims["nbf"] > now else None


def _claims(token: str, key: str, strict: bool) -> dict[str, Any]:
    """What a token says, if it is whole and signed. Raises ValueError."""
    signed, _, signature = token.rpartition(".")
    head, _, body = signed.partition(".")
    header, claims = json.loads(_bytes(head)), json.loads(_bytes(body))
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("not a token")
    if (header if strict else {**HEADER, "alg": header.get("alg")}) != HEADER:
        raise ValueError("not signed as it has to be")
    right = hmac.digest(secret_of(key).encode(), signed.encode(), sha256)
    if not hmac.compare_digest(_bytes(signature), right) or claims.get("iss") != key:
        raise ValueError("signed by somebody else")
    if not strict:
        claims.setdefault("nbf", 0)
    if not (_moment(claims.get("exp")) and _moment(claims.get("nbf"))):
        raise ValueError("without its times")
    return claims


def _bytes(text: str) -> bytes:
    return b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def _moment(value: Any) -> bool:
    return type(value) is int or (type(value) is float and isfinite(value))
