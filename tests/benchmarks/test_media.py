"""The benchmark of large bodies sends what it says."""

import base64
import json

from benchmarks import media
from gateway.media import data_url
from gateway.media.formats import Claim


def test_a_body_has_its_size_and_holds_a_picture_that_the_gateway_takes():
    body = media.body(1_000_000)
    assert abs(len(body) - 1_000_000) < 1000
    url = json.loads(body)["messages"][0]["content"][1]["image_url"]["url"]
    blob = data_url.to_blob(url, Claim("", ("image",)), 1_000_000)
    assert blob.mime == "image/png"
    assert base64.b64decode(blob.data, validate=True).startswith(media.PNG)


def test_a_line_shows_the_median_cost_and_the_copies():
    costs = [media.Cost(0.01 * n, 0.02 * n, 3_000_000 * n, 0.005 * n) for n in (1, 2, 9)]
    line = media._line("5 MB", "gateway", media.median(costs), 3_000_000)
    assert " ".join(line.split()) == "5 MB gateway 20 ms 40 ms 6 MB (2.0 x) 10 ms"
