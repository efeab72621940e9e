"""Photos added on a case's page, several at once: each is taken or refused as the API would, and told by its name."""

from collections.abc import Sequence
from functools import partial
from urllib.parse import quote

from fastapi import Request, Response
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile

from citybrain.access import Here
from citybrain.casework.attachment_api import TO_CASES, keep
from citybrain.casework.attachments import KINDS, owner_of
from citybrain.casework.reading import visible_case
from citybrain.console.case.casepage import Attempt, page
from citybrain.console.case.caseview import AT_ONCE
from citybrain.console.door import Visitor, page_routes, same_token, see
from citybrain.console.problem_words import in_words
from citybrain.console.texts import listed, t
from citybrain.installation import Installation
from citybrain.intake.body import MIB, read_form
from citybrain.intake.photo import PHOTO_BYTES
from citybrain.keys import Key
from citybrain.problem import Problem, invalid

FORM_BYTES = AT_ONCE * PHOTO_BYTES + MIB
FIELDS = 8

routes = page_routes()


@routes.post("/cases/{case_id}/photos")
async def add(request: Request, case_id: str, key: Visitor, here: Here) -> Response:
    key.require_any(*TO_CASES)
    await run_in_threadpool(_look, here, key, case_id)  # before anything is read for nothing
    new, kind = 0, ""
    try:
        async with read_form(request, AT_ONCE, FIELDS) as form:
            same_token(_text(form, "csrf"), key.csrf)
            kind = _text(form, "kind")
            new, said = await run_in_threadpool(_added, here, key, case_id, kind, _files(form))
    except Problem as problem:
        if problem.status != 422:
            raise
        said = in_words(problem)
    if not said:
        return see(f"/cases/{quote(case_id)}?done={'photos' if new else 'photos_known'}")
    attempt = Attempt("photos", {"kind": [kind]}, [t("photo.added", n=new), *said] if new else said)
    return await run_in_threadpool(page, request, key, here, case_id, attempt, 422)


def _look(here: Installation, key: Key, case_id: str) -> None:
    """Raises Problem 404 for a case that the key may not see."""
    with here.store.read() as tx:
        visible_case(tx, case_id, key, here.city)


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value if isinstance(value, str) else ""


def _files(form: FormData) -> list[UploadFile]:
    """What was chosen: a browser sends one without a name where nothing was."""
    files = [each for each in form.getlist("file") if isinstance(each, UploadFile) and each.filename]
    if not files:
        raise invalid("file", "no file", "choose at least one photo")
    return files


def _added(here: Installation, key: Key, case_id: str, kind: str, files: Sequence[UploadFile]) -> tuple[int, list[str]]:
    """How many are new, and what was refused and why. A conflict ends it, since the rest would fare the same."""
    if kind not in KINDS:
        raise invalid("kind", "Field required", "one of " + ", ".join(KINDS))
    find = partial(owner_of, event_id=None, case_id=case_id, key=key, city=here.city)
    new, said = 0, list[str]()
    for position, file in enumerate(files):
        try:
            new += keep(here, key, find, "case_id", kind, file.file.read(PHOTO_BYTES + 1))[1]
        except Problem as problem:
            said += in_words(problem, file.filename or "")
            if problem.status == 409:
                left = listed(each.filename for each in files[position:])
                return new, [*said, t("photo.left_out", names=left)]
            if problem.status != 422:
                raise
    return new, said
