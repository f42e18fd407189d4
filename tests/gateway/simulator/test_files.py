import base64
import hashlib

import pytest

from gateway.simulator.files import Files
from gateway.simulator.refusal import Refusal


def uploaded(files, mime="video/mp4", key="k", data=b"abc", **about):
    upload = files.begin({"file": about} if about else None, mime, key)
    files.append(upload, 0, data)
    return files.finalize(upload, "http://host")


def test_a_file_tells_its_size_hash_and_name():
    file = uploaded(Files(), "image/png", display_name="A picture")
    digest = base64.b64decode(file["sha256Hash"]).decode()
    assert (file["state"], file["sizeBytes"], file["displayName"]) == ("ACTIVE", "3", "A picture")
    assert digest == hashlib.sha256(b"abc").hexdigest()
    assert file["uri"] == f"http://host/v1beta/{file['name']}"


def test_a_video_is_looked_into_for_some_polls():
    files = Files(polls=2)
    name = uploaded(files)["name"]
    assert [files.get(name, "k")["state"] for _ in range(3)] == ["PROCESSING"] * 2 + ["ACTIVE"]


def test_a_file_belongs_to_its_key():
    files = Files()
    file = uploaded(files, key="mine")
    assert files.list("mine")
    assert files.list("other") == []
    for use in (files.get, files.delete):
        with pytest.raises(Refusal, match="do not have permission"):
            use(file["name"], "other")
    with pytest.raises(Refusal, match="do not have permission"):
        files.check_use(file["uri"], "other")


def test_only_what_is_active_can_be_used():
    files = Files(polls=1)
    file = uploaded(files)
    with pytest.raises(Refusal, match="not in an ACTIVE state"):
        files.check_use(file["uri"], "k")
    files.get(file["name"], "k")
    files.check_use(file["uri"], "k")
    files.check_use("https://youtu.be/a", "k")


def test_pieces_must_follow_one_another():
    files = Files()
    upload = files.begin(None, "image/png", "k")
    files.append(upload, 0, b"ab")
    with pytest.raises(Refusal, match="expected 2"):
        files.append(upload, 3, b"c")
    with pytest.raises(Refusal, match="Upload not found"):
        files.append("nobody", 0, b"")
