import math

import pytest

from tests.gateway.simulator.wire import post

MODEL = "models/gemini-embedding-001"


def request(text="a", **fields):
    return {"model": MODEL, "content": {"parts": [{"text": text}]}, **fields}


async def batch(simulator, *requests):
    return await post(simulator, f"{MODEL}:batchEmbedContents", {"requests": list(requests)})


async def test_equal_texts_have_equal_vectors_of_length_one(simulator):
    status, body = await batch(simulator, request("a"), request("b"), request("a"))
    first, second, third = (held["values"] for held in body["embeddings"])
    assert status == 200
    assert first == third != second
    assert len(first) == 3072
    assert math.isclose(sum(value * value for value in first), 1)


async def test_a_shortened_vector_is_the_head_of_the_whole(simulator):
    _, body = await batch(simulator, request(outputDimensionality=8), request())
    short, whole = (held["values"] for held in body["embeddings"])
    assert short == whole[:8]


async def test_one_text_is_embedded_with_its_usage(simulator):
    status, body = await post(simulator, f"{MODEL}:embedContent", request("abcdefgh"))
    assert (status, body["usageMetadata"]["promptTokenCount"]) == (200, 2)


@pytest.mark.parametrize(
    ("requests", "said"),
    [
        ([], "requests is not specified"),
        ([request()] * 101, "at most 100 requests can be in one batch"),
        ([request(model="models/other")], "model must be"),
        ([{"model": MODEL}], "contents is not specified"),
        ([request(outputDimensionality=4096)], "output_dimensionality"),
        ([request(encoding_format="base64")], "Cannot find field"),
    ],
)
async def test_wrong_batches_are_refused(simulator, requests, said):
    status, body = await batch(simulator, *requests)
    assert status == 400
    assert said in body["error"]["message"]


async def test_the_second_model_takes_no_task(simulator):
    body = {**request(taskType="CLUSTERING"), "model": "models/gemini-embedding-2"}
    status, answer = await post(simulator, "models/gemini-embedding-2:embedContent", body)
    assert (status, "Task type is not supported" in str(answer)) == (400, True)
    assert (await post(simulator, f"{MODEL}:embedContent", request(taskType="CLUSTERING")))[
        0
    ] == 200
