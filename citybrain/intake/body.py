"""Reads a request's body no further than it may be long: the cap holds while it streams, whatever its headers say."""

from starlette.requests import ClientDisconnect, Request

from citybrain.problem import Problem

MIB = 1024 * 1024


async def read_body(request: Request, limit: int = MIB) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        raise Problem(400, "the connection ended before the body did") from None
    return b"".join(chunks)


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit // MIB} MiB: send fewer events at once, photos elsewhere")
