"""What Gemini would say to the turns of a conversation."""


def broken_rules(contents):
    """Return the rules of turns that *contents* break."""
    broken = []
    if not contents or contents[0]["role"] != "user" or contents[-1]["role"] != "user":
        broken.append("must begin and end with the user")
    waiting = []
    for content in contents:
        parts = content["parts"]
        responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if not parts or not all(_has_data(part) for part in parts):
            broken.append("empty parts")
        if len(responses) != len(waiting) and (waiting or responses):
            broken.append("as many responses as calls")
        elif [one["name"] for one in responses] != waiting:
            broken.append("responses in the order of the calls")
        if responses and content["role"] != "user":
            broken.append("responses are the user's")
        waiting = [p["functionCall"]["name"] for p in parts if "functionCall" in p]
        if waiting and content["role"] != "model":
            broken.append("calls are the model's")
    return broken


def _has_data(part):
    if "text" in part:
        return part["text"] != "" or "thoughtSignature" in part
    kinds = ("inlineData", "fileData", "functionCall", "functionResponse", "toolCall")
    return any(kind in part for kind in kinds)
