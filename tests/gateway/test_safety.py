import pytest

from gateway.safety import CATEGORIES, category_of


@pytest.mark.parametrize("name", ["harassment", "HARASSMENT", "harm_category_harassment"])
def test_a_category_is_known_by_its_short_and_its_full_name(name):
    assert category_of(name) == "HARM_CATEGORY_HARASSMENT"
    assert category_of(name) in CATEGORIES
