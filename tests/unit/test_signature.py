"""Signatures against the published vectors and the reference package."""

import base64
import hashlib
import hmac
import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from citybrain.dispatch.signature import V1, V1_SM3, new_secret, sign, sm3_is_here, verify

VECTORS = json.loads((Path(__file__).parents[1] / "data" / "standard-webhooks-vectors.json").read_text())
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = b'{"test": 2432232314}'
NOW = 1_614_265_330


def _headers(signature: str, timestamp: str = str(NOW), message_id: str = "msg_1") -> dict[str, str]:
    return {"webhook-id": message_id, "webhook-timestamp": timestamp, "webhook-signature": signature}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["source"])
def test_published_vectors_verify_as_published(vector: dict[str, Any]) -> None:
    body, sent = vector["payload"].encode(), int(vector["webhook-timestamp"])
    assert verify([vector["secret"]], vector, body, now=sent) is vector["valid"]
    made = sign([vector["secret"]], vector["webhook-id"], sent, body)
    assert (made == vector["webhook-signature"]) is vector["valid"]


@given(body=st.text(max_size=200), message_id=st.uuids().map(str))
def test_reference_package_accepts_what_is_signed_here(body: str, message_id: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    secret = new_secret()
    payload = json.dumps({"text": body}).encode()
    headers = _headers(sign([new_secret(), secret], message_id, now, payload), str(now), message_id)
    assert Webhook(secret).verify(payload, headers) == {"text": body}


@given(body=st.text(max_size=200))
def test_what_the_reference_package_signs_is_accepted_here(body: str) -> None:
    signature = Webhook(SECRET).sign("msg_1", datetime.fromtimestamp(NOW, UTC), body)
    assert verify([SECRET], _headers(signature), body.encode(), now=NOW)


def test_during_rotation_old_and_new_secret_both_accept() -> None:
    headers = _headers(sign([OTHER, SECRET], "msg_1", NOW, BODY))
    assert len(headers["webhook-signature"].split(" ")) == 2
    assert verify([SECRET], headers, BODY, now=NOW)
    assert verify([OTHER], headers, BODY, now=NOW)
    assert verify([new_secret(), OTHER], headers, BODY, now=NOW)
    assert not verify([new_secret()], headers, BODY, now=NOW)


def test_a_change_of_body_id_or_time_is_noticed() -> None:
    signature = sign([SECRET], "msg_1", NOW, BODY)
    assert not verify([SECRET], _headers(signature), BODY + b" ", now=NOW)
    assert not verify([SECRET], _headers(signature, message_id="msg_2"), BODY, now=NOW)
    assert not verify([SECRET], _headers(signature, timestamp=str(NOW + 1)), BODY, now=NOW)


def test_a_message_is_fresh_for_five_minutes_either_way() -> None:
    headers = _headers(sign([SECRET], "msg_1", NOW, BODY))
    assert verify([SECRET], headers, BODY, now=NOW + 300)
    assert verify([SECRET], headers, BODY, now=NOW - 300)
    assert not verify([SECRET], headers, BODY, now=NOW + 301)
    assert not verify([SECRET], headers, BODY, now=NOW - 301)
    assert verify([SECRET], headers, BODY, now=NOW + 3000, tolerance=3600)


def test_header_names_are_read_in_any_case() -> None:
    headers = {name.title(): value for name, value in _headers(sign([SECRET], "msg_1", NOW, BODY)).items()}
    assert verify([SECRET], headers, BODY, now=NOW)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        _headers(""),
        _headers("v1"),
        _headers("v1,"),
        _headers("v1,not base64!"),
        _headers("v1,签名"),
        _headers("v1a,AAAA"),
        _headers("v1,g0hM9SsE", timestamp=""),
        _headers("v1,g0hM9SsE", timestamp="now"),
        _headers("v1,g0hM9SsE", timestamp="²"),
        _headers("v1,\udc80"),
        _headers("v1,g0hM9SsE", timestamp="9" * 5000),
        _headers("v1,g0hM9SsE", message_id=""),
        _headers("v1,g0hM9SsE", message_id="\udc80"),
    ],
)
def test_malformed_headers_are_false_and_never_an_exception(headers: dict[str, str]) -> None:
    assert verify([SECRET], headers, BODY, now=NOW) is False


@given(st.dictionaries(st.sampled_from(["webhook-id", "webhook-timestamp", "webhook-signature"]), st.text(max_size=40)))
def test_arbitrary_headers_are_false(headers: dict[str, str]) -> None:
    assert verify([SECRET], headers, BODY, now=NOW) is False


def test_a_signature_of_another_version_beside_ours_does_no_harm() -> None:
    signature = "v1a,AAAA v2,BBBB " + sign([SECRET], "msg_1", NOW, BODY)
    assert verify([SECRET], _headers(signature), BODY, now=NOW)
    assert not verify([SECRET], _headers(signature.replace("v1,", "v2,")), BODY, now=NOW)


def test_a_new_secret_is_32_bytes_of_the_given_randomness() -> None:
    assert new_secret(lambda size: b"\x01" * size) == "whsec_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    assert new_secret() != new_secret()


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_AAAA", "whsec_%%%%", "whsec_密钥"])
def test_a_malformed_secret_signs_nothing_and_is_not_shown(secret: str) -> None:
    with pytest.raises(ValueError, match="24 to 64 bytes"):
        sign([secret], "msg_1", NOW, BODY)


def test_no_secret_or_an_id_unfit_for_a_header_signs_nothing() -> None:
    with pytest.raises(ValueError, match="at least one secret"):
        sign([], "msg_1", NOW, BODY)
    for message_id in ("", "msg.1", "msg\r\nx: y", "消息"):
        with pytest.raises(ValueError, match="a message id is letters"):
            sign([SECRET], message_id, NOW, BODY)


# SM3: GB/T 32905-2016, appendix A. HMAC-SM3: GM/T 0042-2015, appendix D.3.
SM3 = [
    (b"abc", "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"),
    (b"abcd" * 16, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732"),
]
HMAC_SM3 = [
    (
        bytes(range(1, 33)),
        b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq" * 2,
        "ca05e144ed05d1857840d1f318a4a8669e559fc8391f414485bfdf7bb408963a",
    ),
    (bytes(range(1, 38)), b"\xcd" * 50, "220bf579ded555393f0159f66c99877822a3ecf610d1552154b41d44b94db3ae"),
    (b"\x0b" * 32, b"Hi There", "c0ba18c68b90c88bc07de794bfc7d2c8d19ec31ed8773bc2b390c9604e0be11e"),
    (b"Jefe", b"what do ya want for nothing?", "2e87f1d16862e6d964b50a5200bf2b10b764faa9680a296a2405f24bec39f882"),
]


def test_this_build_has_sm3_as_it_is_published() -> None:
    assert sm3_is_here()
    assert [hashlib.new("sm3", text).hexdigest() for text, _ in SM3] == [digest for _, digest in SM3]
    assert [hmac.digest(key, text, "sm3").hex() for key, text, _ in HMAC_SM3] == [digest for *_, digest in HMAC_SM3]


def test_an_sm3_signature_is_the_hmac_of_the_same_text_as_v1() -> None:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    expected = hmac.digest(key, b"msg_1.%d.%s" % (NOW, BODY), "sm3")
    assert sign([SECRET], "msg_1", NOW, BODY, [V1_SM3]) == "v1sm3," + base64.b64encode(expected).decode()


def test_both_identifiers_sign_with_each_secret_and_the_reference_package_reads_its_own() -> None:
    now = int(datetime.now(UTC).timestamp())
    signature = sign([OTHER, SECRET], "msg_1", now, BODY, [V1, V1_SM3])
    assert [part.split(",")[0] for part in signature.split(" ")] == [V1, V1_SM3, V1, V1_SM3]
    headers = _headers(signature, str(now))
    for secret in (SECRET, OTHER):
        assert verify([secret], headers, BODY, now=now)
        assert verify([secret], headers, BODY, now=now, identifier=V1_SM3)
        assert Webhook(secret).verify(BODY, headers)
    assert not verify([SECRET], headers, BODY + b" ", now=now, identifier=V1_SM3)


def test_an_sm3_signature_alone_is_none_of_the_first_identifier() -> None:
    headers = _headers(sign([SECRET], "msg_1", NOW, BODY, [V1_SM3]))
    assert not verify([SECRET], headers, BODY, now=NOW)
    assert verify([SECRET], headers, BODY, now=NOW, identifier=V1_SM3)


def test_the_guides_sample_verifies_what_is_sent() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text(encoding="utf-8")
    (sample,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    names: dict[str, Any] = {}
    exec(sample, names)  # noqa: S102 - the guide's own words
    now = int(datetime.now(UTC).timestamp())
    headers = _headers(sign([OTHER, SECRET], "msg_1", now, BODY, [V1, V1_SM3]), str(now))
    for version in (V1, V1_SM3):
        assert names["verified"](SECRET, headers, BODY, version)
        assert not names["verified"](SECRET, headers, BODY + b" ", version)
        assert not names["verified"](SECRET, headers | {"webhook-timestamp": str(now - 900)}, BODY, version)
