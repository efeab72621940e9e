"""Signatures against the published vectors and the reference package."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from citybrain.dispatch.signature import new_secret, sign, verify

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
