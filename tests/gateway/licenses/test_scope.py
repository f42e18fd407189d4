import pytest

from gateway.errors import Forbidden
from gateway.exchange import License
from gateway.licenses.scope import require_model


@pytest.mark.parametrize(
    ("globs", "model", "covered"),
    [
        ((), "anything", True),
        (("gemini-2.5-*",), "gemini-2.5-flash", True),
        (("gemini-2.5-*",), "gemini-3-flash", False),
        (("a", "b*"), "bc", True),
        (("A",), "a", False),
    ],
)
def test_a_license_covers_what_one_of_its_globs_fits(globs, model, covered):
    license_ = License("a", models=globs)
    if covered:
        require_model(license_, model)
        return
    with pytest.raises(Forbidden) as refused:
        require_model(license_, model)
    assert (refused.value.param, refused.value.code) == ("model", "model_not_allowed")
