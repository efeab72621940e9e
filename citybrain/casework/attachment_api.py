"""Photos of events and cases: sent as the body or as a form's file, downloaded by whoever sees what they belong to."""

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.concurrency import run_in_threadpool
from sqlalchemy import Connection
from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from citybrain.access import Asker, Here
from citybrain.casework import attachments as kept
from citybrain.installation import Installation
from citybrain.intake.body import read_body, read_form
from citybrain.intake.photo import PHOTO_BYTES, read_photo
from citybrain.keys import Key, May
from citybrain.problem import Problem, invalid
from citybrain.store.attachment_tables import attachments, blobs

routes = APIRouter(prefix="/api/v1", tags=["attachments 附件"])
Kind = Annotated[Literal["before", "after"], Query(description="taken before or after the handling")]
TO_EVENTS, TO_CASES = (May.POST, May.ACT), (May.ACT, May.VERIFY, May.FEEDBACK)
# What is sent is shown as the image that it was found to be, and as nothing else.
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, max-age=31536000, immutable",
}


@routes.post("/events/{event_id}/attachments", status_code=201)
async def attach_to_event(event_id: str, request: Request, key: Asker, here: Here, kind: Kind = "before") -> Response:
    """A photo: JPEG, PNG or WebP, 12 MiB at most, as the body or as the `file` of a form. Where it was taken is
    compared with the reported place (`distance_m`) and not kept. The same photo again: 200. `case` has the version of
    the case, if there is one, to act on it with this photo next."""
    return await _attach(request, key, here, kind, event_id=event_id)


@routes.post("/cases/{case_id}/attachments", status_code=201)
async def attach_to_case(case_id: str, request: Request, key: Asker, here: Here, kind: Kind = "after") -> Response:
    """As for events."""
    return await _attach(request, key, here, kind, case_id=case_id)


async def _attach(
    request: Request, key: Key, here: Installation, kind: str, event_id: str | None = None, case_id: str | None = None
) -> Response:
    if not any(key.may(right) for right in (TO_EVENTS if case_id is None else TO_CASES)):
        key.require(May.ACT)
    find = partial(kept.owner_of, event_id=event_id, case_id=case_id, key=key, city=here.city)
    await run_in_threadpool(_look, here, find)  # before a photo is decoded for nothing
    data = await _file(request)
    return await run_in_threadpool(_kept, here, key, find, "event_id" if case_id is None else "case_id", kind, data)


def _look(here: Installation, find: Any) -> None:
    with here.store.read() as tx:
        find(tx)


def keep(here: Installation, key: Key, find: Any, of: str, kind: str, data: bytes) -> tuple[str, bool]:
    """The photo's id, and whether it is new. `find` is `owner_of` but for the transaction. Raises Problem 422 for what
    is no photo, 409 where none can be added."""
    photo = read_photo(data)

    def do(tx: Connection) -> tuple[str, bool]:
        return kept.attach(tx, find(tx), of, kind, photo, key.name, here.city, here.clock())

    return here.store.transact(do)


def _kept(here: Installation, key: Key, find: Any, of: str, kind: str, data: bytes) -> Response:
    id_, is_new = keep(here, key, find, of, kind, data)
    with here.store.read() as tx:
        told = kept.shown(tx, attachments.c.id == id_, here.city)[0]
        return JSONResponse(told | {"case": kept.case_told(tx, id_)}, 201 if is_new else 200)


async def _file(request: Request) -> bytes:
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await read_body(request, PHOTO_BYTES)
    async with read_form(request, files=1, fields=8) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise invalid("file", "the form has none", "name the form's file `file`, or send the photo as the body")
        return await file.read()


@routes.get("/events/{event_id}/attachments")
def event_attachments(event_id: str, key: Asker, here: Here) -> dict[str, Any]:
    key.require(May.READ_EVENTS)
    with here.store.read() as tx:
        owner = kept.owner_of(tx, event_id, None, key, here.city)
        return {"items": kept.listed(tx, owner, "event_id", here.city), "next": None}


@routes.get("/cases/{case_id}/attachments")
def case_attachments(case_id: str, key: Asker, here: Here) -> dict[str, Any]:
    """Those of its events too. `came_from` is the number of the case that a photo was added to before it was merged."""
    key.require(May.READ_CASES)
    with here.store.read() as tx:
        owner = kept.owner_of(tx, None, case_id, key, here.city)
        return {"items": kept.listed(tx, owner, "case_id", here.city), "next": None}


@routes.get("/attachments/{attachment_id}")
def download(attachment_id: str, key: Asker, here: Here) -> Response:
    with here.store.read() as tx:
        row = kept.visible(tx, attachment_id, key, here.city, blobs.c.content, blobs.c.media_type)
    return _image(attachment_id, row.content, row.media_type)


@routes.get("/attachments/{attachment_id}/thumbnail")
def thumbnail(attachment_id: str, key: Asker, here: Here) -> Response:
    with here.store.read() as tx:
        row = kept.visible(tx, attachment_id, key, here.city, blobs.c.thumbnail)
    return _image(f"{attachment_id}-small", row.thumbnail, "image/jpeg")


def _image(name: str, content: bytes, media_type: str) -> Response:
    if not content:
        raise Problem(410, "this photo has been erased, as the city's rules of retention say")
    ending = media_type.removeprefix("image/").replace("jpeg", "jpg")
    return Response(content, media_type=media_type, headers=SAFE | {
        "Content-Disposition": f'inline; filename="{name}.{ending}"'})  # fmt: skip
