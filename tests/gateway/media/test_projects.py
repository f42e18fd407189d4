"""A request is bound to the one project that has all it names."""

import pytest

from gateway.errors import BadRequest, NotFound, UpstreamError
from gateway.media.projects import project_of


class Files:
    """Knows who has what; what is an error is raised."""

    def __init__(self, **owners) -> None:
        self.owners = owners
        self.asked: list[str] = []

    async def find(self, name: str) -> str | None:
        self.asked.append(name)
        owner = self.owners.get(name)
        if isinstance(owner, Exception):
            raise owner
        return owner


@pytest.mark.parametrize(
    ("named", "project"), [("", None), ("a", "one"), ("ab", "one"), ("xa", "one"), ("x", None)]
)
async def test_what_has_one_owner_binds_to_it(named, project):
    files = Files(a="one", b="one")
    assert await project_of([(f"field {name}", name) for name in named], files) == project
    assert files.asked == list(named)


async def test_two_owners_are_told_by_the_fields_that_name_them():
    files = Files(a="one", b="one", c="two")
    with pytest.raises(BadRequest) as caught:
        await project_of([("cached", "a"), ("part 1", "b"), ("part 2", "c")], files)
    assert caught.value.message.startswith("cached and part 2 refer to different")
    assert (caught.value.param, caught.value.code) == ("part 2", "different_projects")


async def test_what_nobody_has_is_told_by_its_field():
    with pytest.raises(NotFound) as caught:
        await project_of([("part 1", "a")], Files(a=NotFound("x")))
    assert caught.value.param == "part 1"


async def test_what_upstream_fails_at_is_no_fault_of_a_field():
    with pytest.raises(UpstreamError) as caught:
        await project_of([("part 1", "a")], Files(a=UpstreamError("x")))
    assert caught.value.param is None
