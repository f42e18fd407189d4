"""The project that a request is bound to by the cached content and the files it names.

Both belong to the project of one key, and a call is sent with one key. Media uploaded for the same
request have to go to that project, or no key could use both.
"""

from collections.abc import Sequence

from gateway.errors import BadRequest, GatewayError, NotFound
from gateway.media.files import FilesClient


async def project_of(names: Sequence[tuple[str, str]], files: FilesClient) -> str | None:
    """Return the project that has all *names*, pairs of field and name; None if unknown.

    Raises `BadRequest` (code `different_projects`) naming two that have no project in common,
    `NotFound` for what no project has, and `GatewayError`.
    """
    first: tuple[str, str] | None = None
    for field, name in names:
        project = await _owner_of(field, name, files)
        if project is None:
            continue
        if first is not None and project != first[1]:
            raise BadRequest(
                f"{first[0]} and {field} refer to different Gemini projects; one request"
                " can only use those of one project.",
                param=field,
                code="different_projects",
            )
        first = first or (field, project)
    return first[1] if first is not None else None


async def _owner_of(field: str, name: str, files: FilesClient) -> str | None:
    try:
        return await files.find(name)
    except GatewayError as error:
        if isinstance(error, NotFound):
            error.param = field
        raise
