"""Volcengine's signature, and what its gateway says when a request does not pass.

Method: https://www.volcengine.com/docs/6369/67269, worked example: https://www.volcengine.com/docs/6369/67270, errors:
https://www.volcengine.com/docs/6369/68677; read 2026-11-23.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from secrets import token_hex
from typing import NamedTuple
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from videogate.simulator.vendor import Refused, whole

ALGORITHM = "HMAC-SHA256"
REGION = "cn-north-1"
SERVICE = "cv"
VALID_SECONDS = 900  # either way of X-Date
_TIMES = "%Y%m%dT%H%M%SZ"
_CHINA = 8 * 3600  # seconds
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your Secret Access Key and "
    "signing method. Consult the service documentation for details."
)
_DENIALS = {
    "MissingParameter": (100002, 400, "The request is missing {} parameter."),
    "MissingAuthenticationToken": (100003, 401, "Request is missing Authentication Token."),
    "MissingRequestInfo": (100004, 400, "The request is missing {} information."),
    "MissingSignature": (100005, 401, "The request is missing signature."),
    "InvalidTimestamp": (100006, 400, "The Signature of the request is expired."),  # 403 on older pages
    "ServiceNotFound": (100007, 404, "This service[{}] not found."),
    "InvalidActionOrVersion": (100008, 404, "Could not find operation {} for version {}."),
    "InvalidAccessKey": (100009, 401, "The accesskey [{}] included in the request is invalid."),
    "SignatureDoesNotMatch": (100010, 401, _MISMATCH),
    "InvalidAuthorization": (None, 400, "Invalid 'Authorization' header, Pls check authorization header."),
    "InvalidCredential": (
        None,
        400,
        "Invalid credential in 'Authorization', Pls check credential in authorization header.",
    ),
}


def denied(query: Mapping[str, str], code: str, *values: str) -> Response:
    """An error in the gateway's form; `values` fill its message."""
    number, status, message = _DENIALS[code]
    numbered = {} if number is None else {"CodeN": number}
    error = {**numbered, "Code": code, "Message": message.format(*values)}
    name = request_id()
    known = {key: query[key] for key in ("Action", "Version") if key in query}
    metadata = {"RequestId": name, **known, "Service": SERVICE, "Region": REGION, "Error": error}
    return JSONResponse({"ResponseMetadata": metadata}, status, {"x-tt-logid": name})


def request_id() -> str:
    """A name for a call: China's time, and something random."""
    clock = time.strftime("%Y%m%d%H%M%S", time.gmtime(time.time() + _CHINA))
    return clock + token_hex(10).upper()


def canonical_query(query: str) -> str:
    """A query as it is signed: sorted by name, values of one name in their order."""
    pairs = sorted(parse_qsl(query, keep_blank_values=True), key=lambda pair: pair[0].encode())
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in pairs)


def canonical_request(method: str, path: str, query: str, headers: Mapping[str, str], digest: str) -> str:
    """A request as it is signed. `headers` are those that are; `digest` is its body's."""
    lines = {name.lower(): value.strip() for name, value in headers.items()}
    if "host" in lines:
        # The vendor's own clients sign these two away, whatever the scheme.
        lines["host"] = lines["host"].removesuffix(":80").removesuffix(":443")
    names = sorted(lines)
    signed = "".join(f"{name}:{lines[name]}\n" for name in names)
    return "\n".join((method, path or "/", canonical_query(query), signed, ";".join(names), digest))


def signing_key(secret: str, scope: str) -> bytes:
    """The key for a scope: `day/region/service/request`."""
    key = secret.encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


def signature(secret: str, scope: str, moment: str, canonical: str) -> str:
    """The signature of a canonical request at a moment, which is its X-Date."""
    text = "\n".join((ALGORITHM, moment, scope, sha256(canonical.encode()).hexdigest()))
    return hmac.digest(signing_key(secret, scope), text.encode(), "sha256").hex()


async def verify(request: Request, key: str, secret: str) -> None:
    """Hold a request against its signature. Raises Refused, in the gateway's order (inferred, no page says it)."""
    query = request.query_params
    for name in ("Action", "Version"):
        if not query.get(name):
            raise Refused(denied(query, "MissingParameter", name))
    given = _given(request)
    moment = _moment(request)
    if given.key != key:
        raise Refused(denied(query, "InvalidAccessKey", given.key))
    digest = sha256(await request.body()).hexdigest()
    right = signature(secret, given.scope, moment, _canonical(request, given.names, digest))
    complete = {"host", "x-date"} <= set(given.names) and given.scope.startswith(f"{moment[:8]}/")
    sent = request.headers.get("x-content-sha256", digest)
    if not complete or sent != digest or not hmac.compare_digest(right.encode(), given.signature.encode()):
        raise Refused(denied(query, "SignatureDoesNotMatch"))


class _Given(NamedTuple):
    """What `Authorization` says."""

    key: str
    scope: str
    names: list[str]
    signature: str


def _given(request: Request) -> _Given:
    query, text = request.query_params, request.headers.get("authorization", "")
    if not text:
        raise Refused(denied(query, "MissingAuthenticationToken"))
    algorithm, _, rest = text.partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    if algorithm != ALGORITHM or not parts.get("Credential") or not parts.get("SignedHeaders"):
        raise Refused(denied(query, "InvalidAuthorization"))
    if not parts.get("Signature"):
        raise Refused(denied(query, "MissingSignature"))
    key, _, scope = parts["Credential"].partition("/")
    match scope.split("/"):
        case [_, region, service, "request"] if region == REGION and service == SERVICE:
            return _Given(key, scope, parts["SignedHeaders"].split(";"), parts["Signature"])
        case [_, region, service, "request"] if region == REGION:
            raise Refused(denied(query, "ServiceNotFound", service))
    raise Refused(denied(query, "InvalidCredential"))


def _moment(request: Request) -> str:
    query, moment = request.query_params, request.headers.get("x-date")
    if not moment:
        raise Refused(denied(query, "MissingRequestInfo", "X-Date"))
    valid = whole(query.get("X-Expires"), VALID_SECONDS) or VALID_SECONDS
    try:
        age = time.time() - datetime.strptime(moment, _TIMES).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise Refused(denied(query, "InvalidTimestamp")) from None
    if not -VALID_SECONDS <= age <= valid:
        raise Refused(denied(query, "InvalidTimestamp"))
    return moment


def _canonical(request: Request, names: list[str], digest: str) -> str:
    # The path as it was sent: what a mount takes off it, the client has signed.
    path, query = (request.scope[each].decode("latin-1") for each in ("raw_path", "query_string"))
    headers = {name: request.headers.get(name, "") for name in names}
    return canonical_request(request.method, path, query, headers, digest)
