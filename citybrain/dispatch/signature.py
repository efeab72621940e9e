"""Standard Webhooks signatures (HMAC-SHA256, version `v1`): how a receiver knows that a message is ours and unchanged.

Comes after the message is recorded and before the sender posts it. https://www.standardwebhooks.com
"""

import binascii
import hashlib
import hmac
import re
import secrets as randomness
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"

_PREFIX = "whsec_"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]+")  # a full stop would make the signed text ambiguous
_KEY_BYTES = range(24, 65)  # the lengths the specification allows


def new_secret(random_bytes: Callable[[int], bytes] = randomness.token_bytes) -> str:
    return _PREFIX + b64encode(random_bytes(32)).decode()


def sign(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> str:
    """The `webhook-signature` header: one signature per secret, the newest first, so that a secret can be rotated.

    `timestamp` is in seconds since 1970. Raises ValueError for a malformed secret or message id, or without a secret.
    """
    if not secrets:
        raise ValueError("a message needs at least one secret to be signed with")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"a message id is letters, digits, - and _, got {message_id[:80]!r}")
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return " ".join("v1," + b64encode(_digest(secret, signed)).decode() for secret in secrets)


def verify(secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now: float, tolerance: float = 300) -> bool:
    """Whether one of the signatures was made with one of the secrets, no more than `tolerance` seconds from `now`.

    A missing or malformed header is False; only a malformed secret, which is the receiver's own, raises ValueError.
    """
    found = {name.lower(): value for name, value in headers.items()}
    message_id, sent = found.get(ID_HEADER, ""), found.get(TIMESTAMP_HEADER, "")
    if not message_id or not (sent.isascii() and sent.isdigit() and len(sent) <= 12):
        return False
    if abs(now - int(sent)) > tolerance:
        return False
    signed = b"%s.%s.%s" % (message_id.encode(errors="replace"), sent.encode(), body)
    expected = [b64encode(_digest(secret, signed)) for secret in secrets]
    parts = found.get(SIGNATURE_HEADER, "")[:4096].split(" ")
    offered = [part.removeprefix("v1,").encode() for part in parts if part.startswith("v1,") and part.isascii()]
    return any(hmac.compare_digest(one, other) for one in expected for other in offered)


def _digest(secret: str, signed: bytes) -> bytes:
    return hmac.digest(_key(secret), signed, hashlib.sha256)


@lru_cache(maxsize=10_000)
def _key(secret: str) -> bytes:
    text = secret.removeprefix(_PREFIX)
    try:
        key = b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) not in _KEY_BYTES:
        raise ValueError("a webhook secret is whsec_ and 24 to 64 bytes in base64")  # never shows the secret itself
    return key
