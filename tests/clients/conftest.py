"""A gateway process in front of the simulator, for clients that nobody here wrote."""

import pytest

from tests.demo_process import demo


@pytest.fixture(scope="session")
def base_url(tmp_path_factory):
    """Yield the URL that a client's base URL is set to."""
    with demo(tmp_path_factory.mktemp("demo")) as (url, _):
        yield f"{url}/v1"
