"""What was uploaded is remembered, by all processes, until it is gone."""

from gateway.media import shelf as shelves
from gateway.media.shelf import Shelf

CONTENT = (b"\x01" * 32, "video/mp4")
URI = "https://host/v1beta/files/a"


def test_what_is_shelved_is_forgotten_after_47_hours_and_the_oldest_first(monkeypatch):
    now = 0.0
    shelf = Shelf(lambda: now)
    shelf.add((b"1", "video/mp4"), "main", "uri 1")
    now = 47 * 3600 - 1
    assert set(shelf.of((b"1", "video/mp4"))) == {"main"}
    now += 2
    assert shelf.of((b"1", "video/mp4")) == {}
    monkeypatch.setattr(shelves, "MAX_FILES", 2)
    for n in range(2, 5):
        shelf.add((b"%d" % n, "video/mp4"), "main", f"uri {n}")
    assert shelf.owner("uri 4") == "main"
    assert shelf.owner("uri 2") is None


def test_what_was_uploaded_anew_is_not_the_oldest(monkeypatch):
    monkeypatch.setattr(shelves, "MAX_FILES", 2)
    shelf = Shelf(lambda: 0.0)
    for n in (1, 2, 1, 3):
        shelf.add((b"%d" % n, "video/mp4"), "main", f"uri {n}")
    assert (shelf.owner("uri 1"), shelf.owner("uri 2")) == ("main", None)


def test_what_one_process_finds_gone_all_forget():
    one, two = Shelf(), Shelf()
    one.share(two.hear)
    one.add(CONTENT, "main", URI)
    assert two.of(CONTENT)
    assert not one.forget("https://host/v1beta/files/b")
    assert one.forget(URI)
    for shelf in (one, two):
        assert shelf.of(CONTENT) == {}
        assert shelf.owner(URI) is None
        assert not shelf._files
    one.add(CONTENT, "main", "https://host/v1beta/files/c")
    assert two.of(CONTENT)["main"].blob.uri == "https://host/v1beta/files/c"


def test_all_processes_know_whether_a_file_is_processed():
    now = 0.0
    one, two = Shelf(lambda: now), Shelf(lambda: now)
    one.share(two.hear)
    one.add(CONTENT, "main", URI, is_ready=False)
    now = 3600.0
    for is_ready in (False, True):
        for shelf in (one, two):
            stored = shelf.of(CONTENT)["main"]
            assert (stored.blob.uri, stored.is_ready) == (URI, is_ready)
            assert stored.expires == shelves.KEEP_S
        one.set_ready(URI)
    one.set_ready("https://host/v1beta/files/gone")


def test_what_one_process_uploaded_another_one_uses_again():
    now = 0.0
    one, two = Shelf(lambda: now), Shelf(lambda: now)
    one.share(two.hear)
    one.add(CONTENT, "a project | with a stroke", URI)
    [(project, stored)] = two.of(CONTENT).items()
    assert (stored.blob.uri, project) == (URI, "a project | with a stroke")
    assert two.owner(URI) == stored.project == project
    now = 47 * 3600.0
    assert two.of(CONTENT) == {}
