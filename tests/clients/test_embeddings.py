"""Vectors for clients of OpenAI's embeddings, changed in base URL and key only."""

import math

import litellm
import openai
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_openai import OpenAIEmbeddings

pytestmark = pytest.mark.filterwarnings("ignore")

MODEL = "gemini-embedding-001"


@pytest.fixture(scope="session")
def client(base_url):
    with openai.OpenAI(base_url=base_url, api_key="demo", max_retries=0) as one:
        yield one


def test_openai_asks_for_base64_and_gets_it(client):
    """Both forms are the same vector."""
    answer = client.embeddings.create(model=MODEL, input="Tulips")
    [one] = answer.data
    assert len(one.embedding) == 3072
    plain = client.embeddings.create(model=MODEL, input="Tulips", encoding_format="float")
    assert one.embedding == pytest.approx(plain.data[0].embedding, abs=1e-7)
    assert answer.model == MODEL
    assert answer.usage.total_tokens == answer.usage.prompt_tokens > 0


def test_a_short_vector_has_the_length_of_one(client):
    [one] = client.embeddings.create(model=MODEL, input=["Tulips"], dimensions=256).data
    assert len(one.embedding) == 256
    assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-5)


def test_langchain(base_url):
    model = OpenAIEmbeddings(
        model=MODEL, base_url=base_url, api_key="demo", check_embedding_ctx_length=False
    )
    first, second = model.embed_documents(["Tulips", "Roses"])
    assert len(first) == len(second) == 3072
    assert first != second
    assert model.embed_query("Tulips") == pytest.approx(first, abs=1e-7)


def test_langchain_is_told_that_tokens_cannot_be_read(base_url):
    body = {"model": MODEL, "input": [[1, 2, 3]]}
    with (
        openai.OpenAI(base_url=base_url, api_key="demo", max_retries=0) as client,
        pytest.raises(openai.BadRequestError) as refused,
    ):
        client.embeddings.create(**body)
    assert refused.value.param == "input[0]"
    assert "check_embedding_ctx_length=False" in str(refused.value)


def test_litellm(base_url):
    answer = litellm.embedding(
        model=f"openai/{MODEL}", input=["Tulips", "Roses"], api_base=base_url, api_key="demo"
    )
    assert [one["index"] for one in answer.data] == [0, 1]
    assert len(answer.data[0]["embedding"]) == 3072


def test_a_model_that_is_none_is_a_404(client):
    with pytest.raises(openai.NotFoundError):
        client.embeddings.create(model="gemini-embedding-000", input="a")


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(texts=st.lists(st.text(min_size=1, max_size=20), min_size=1, max_size=230))
def test_many_texts_get_the_vectors_that_each_gets_alone(client, texts):
    answer = client.embeddings.create(model=MODEL, input=texts, dimensions=8)
    assert [one.index for one in answer.data] == list(range(len(texts)))
    at = len(texts) - 1
    [alone] = client.embeddings.create(model=MODEL, input=texts[at], dimensions=8).data
    assert alone.embedding == pytest.approx(answer.data[at].embedding, abs=1e-7)
    same = [one.embedding for one, text in zip(answer.data, texts, strict=True) if text == texts[0]]
    assert all(vector == same[0] for vector in same)
