"""The doors for events stand before the framework: they answer what they are there for, and let everything else by."""

from collections.abc import Iterator
from typing import Any

import pytest
from desk import Desk
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.testclient import TestClient

from citybrain.app import Doors
from citybrain.keyring import Keyring
from citybrain.keys import Key, create_key
from citybrain.problem import Problem

EVENTS = "/api/v1/events"


async def door(request: Request, key: Key) -> Response:
    """Answers what the body says."""
    match (await request.body()).decode():
        case "problem":
            raise Problem(409, "no")
        case said:
            return Response(f"{key.name} says {said}")


@pytest.fixture
def browser(desk: Desk) -> Iterator[TestClient]:
    app = FastAPI()
    app.add_middleware(Doors, doors={EVENTS: door})
    app.state.keyring, app.state.installation = Keyring(desk.here.store, desk.here.clock), desk.here

    @app.get(EVENTS)
    @app.post(EVENTS + "/batch")
    def behind() -> str:
        return "behind"

    with desk.here.store.write() as tx:
        key = create_key(tx, "app", "source", desk.now, "liu")
    with TestClient(app, headers={"Authorization": f"Bearer {key}"}) as browser:
        yield browser


def test_a_post_to_a_door_is_answered_there_with_the_key_of_who_asks(browser: TestClient) -> None:
    answer = browser.post(EVENTS, content=b"hello")
    assert (answer.status_code, answer.text) == (200, "app says hello")


@pytest.mark.parametrize(("method", "path"), [("GET", EVENTS), ("POST", EVENTS + "/batch")])
def test_other_methods_and_paths_go_on_to_the_routes(browser: TestClient, method: str, path: str) -> None:
    assert browser.request(method, path).json() == "behind"


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ({"Authorization": "Bearer nobody.knows"}, b"hello", 401),
        ({"Authorization": ""}, b"hello", 401),
        ({}, b"problem", 409),
    ],
)
def test_what_goes_wrong_is_told_as_a_problem(
    browser: TestClient, headers: dict[str, Any], body: bytes, status: int
) -> None:
    answer = browser.post(EVENTS, content=body, headers=headers)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
