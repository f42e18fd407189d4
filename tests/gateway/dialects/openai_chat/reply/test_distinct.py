from gateway.dialects.openai_chat.reply.distinct import Distinct


def test_only_what_is_new_is_added_and_every_place_is_told():
    distinct = Distinct(["a", {"x": 1, "y": 2}])
    assert distinct.add([{"y": 2, "x": 1}, "b", "b", "a"]) == [1, 2, 2, 0]
    assert distinct.items == ["a", {"x": 1, "y": 2}, "b"]
    assert distinct.add(["c"]) == [3]


def test_what_it_begins_with_stays_as_it_is():
    first = ["a", "b", "a"]
    distinct = Distinct(first)
    assert distinct.add(["a", "c"]) == [0, 3]
    assert (distinct.items, first) == (["a", "b", "a", "c"], ["a", "b", "a"])
