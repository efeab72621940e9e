"""Standard Webhooks signatures: how a receiver knows that a message is ours and unchanged. HMAC-SHA256 as `v1`, and
HMAC-SM3 (GB/T 32905, GB/T 15852.2) as `v1sm3` for receivers of national cryptography 国密 that ask for it.

Comes after the message is recorded and before the sender posts it. https://www.standardwebhooks.com
"""

import binascii
import hmac
import re
import secrets as randomness
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

ID_HEADER, TIMESTAMP_HEADER, SIGNATURE_HEADER = "webhook-id", "webhook-timestamp", "webhook-signature"

V1, V1_SM3 = "v1", "v1sm3"
HASHES = {V1: "sha256", V1_SM3: "sm3"}  # of each signature's identifier
NO_SM3 = "this build of OpenSSL has no SM3: OpenSSL 3 with its default provider has it"

_PREFIX = "whsec_"
_MESSAGE_ID = re.compile(r"[A-Za-z0-9_-]+")  # a full stop would make the signed text ambiguous
_KEY_BYTES = range(24, 65)  # the lengths the specification allows


def new_secret(random_bytes: Callable[[int], bytes] = randomness.token_bytes) -> str:
    return _PREFIX + b64encode(random_bytes(32)).decode()


@cache
def sm3_is_here() -> bool:
    try:
        hmac.digest(b"", b"", HASHES[V1_SM3])
    except ValueError:
        return False
    return True


def sign(
    secrets: Sequence[str], message_id: str, timestamp: int, body: bytes, identifiers: Sequence[str] = (V1,)
) -> str:
    """The `webhook-signature` header: for each secret, the newest first so that it can be rotated, a signature of each
    identifier.

    `timestamp` is in seconds since 1970. Raises ValueError for a malformed secret or message id, without a secret, or
    where SM3 is asked for and missing.
    """
    if not secrets:
        raise ValueError("a message needs at least one secret to be signed with")
    if not _MESSAGE_ID.fullmatch(message_id):
        raise ValueError(f"a message id is letters, digits, - and _, got {message_id[:80]!r}")
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    if V1_SM3 in identifiers and not sm3_is_here():
        raise ValueError(NO_SM3)
    pairs = ((secret, each) for secret in secrets for each in identifiers)
    return " ".join(f"{each},{b64encode(_digest(secret, signed, each)).decode()}" for secret, each in pairs)


def verify(
    secrets: Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    now: float,
    tolerance: float = 300,
    identifier: str = V1,
) -> bool:
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
    expected = [b64encode(_digest(secret, signed, identifier)) for secret in secrets]
    begins = f"{identifier},"
    parts = found.get(SIGNATURE_HEADER, "")[:4096].split(" ")
    offered = [part.removeprefix(begins).encode() for part in parts if part.startswith(begins) and part.isascii()]
    return any(hmac.compare_digest(one, other) for one in expected for other in offered)


def _digest(secret: str, signed: bytes, identifier: str) -> bytes:
    return hmac.digest(_key(secret), signed, HASHES[identifier])


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
