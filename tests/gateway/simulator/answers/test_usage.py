from tests.gateway.simulator.answers.answering import answer


def test_the_tier_asked_for_is_told():
    assert answer("a", serviceTier="flex")["usageMetadata"]["serviceTier"] == "flex"


def test_each_modality_is_counted_by_itself():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    usage = answer("echo abcd", parts=[picture])["usageMetadata"]
    assert usage["promptTokensDetails"] == [
        {"modality": "IMAGE", "tokenCount": 258},
        {"modality": "TEXT", "tokenCount": 3},
    ]
    assert usage["promptTokenCount"] == 261


def test_a_system_instruction_costs_too():
    plain = answer("echo a")["usageMetadata"]["promptTokenCount"]
    system = {"parts": [{"text": "abcdefgh"}]}
    with_system = answer("echo a", systemInstruction=system)["usageMetadata"]["promptTokenCount"]
    assert with_system == plain + 2
