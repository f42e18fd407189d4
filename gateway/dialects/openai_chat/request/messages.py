"""Messages as Gemini's contents and system instruction.

Gemini expects alternating turns of user and model, and right after each turn with function calls
one response to each of them. So results are moved to their calls, wherever the client put them; a
call without a result gets one that says so, a result without a call becomes text.
"""

from collections import deque
from collections.abc import Callable

from gateway.dialects.openai_chat.request import assistant, content, past_calls, results
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Json

_CONTINUE = "Continue exactly where your last message ends."


def conversation(translation: Translation) -> tuple[list[Json], list[Json]]:
    """Return the parts of the system instruction, and the contents."""
    walk = _Walk(translation)
    for index, message in enumerate(translation.payload["messages"]):
        _ROLES[message["role"]](walk, message, index)
    return walk.end()


class _Walk:
    """The conversation so far.

    *_open* is the role whose turn may still be extended, *_waiting* are the calls of the model's
    turn: each with the client's id and name of it, and its position (message, place).
    """

    __slots__ = (
        "_answered",
        "_by_id",
        "_by_name",
        "_open",
        "_waiting",
        "contents",
        "system",
        "translation",
    )

    def __init__(self, translation: Translation) -> None:
        self.translation = translation
        self.contents: list[Json] = []
        self.system: list[Json] = []
        self._open: str | None = None
        self._answered: set[int] = set()
        self._waiting: list[tuple[Json, str | None, str, tuple[int, int]]] = []
        self._by_id: dict[str, deque[int]] = {}
        self._by_name: dict[str, deque[int]] = {}
        messages = translation.payload["messages"]
        for index in [at for at, message in enumerate(messages) if message["role"] in _RESULTS]:
            self._expect(messages[index], index)
        # The first stands for all: a long history would leave no room for other notes.
        for index in [at for at, message in enumerate(messages) if "name" in message]:
            if messages[index]["name"] and messages[index]["role"] not in _RESULTS:
                translation.notes.drop(f"messages[{index}].name")
                break

    def _expect(self, message: Json, index: int) -> None:
        """Note the position of the result *message*, by the id of its call or else by name."""
        if message["role"] == "tool" and message.get("tool_call_id"):
            self._by_id.setdefault(message["tool_call_id"], deque()).append(index)
        else:
            self._by_name.setdefault(message.get("name") or "", deque()).append(index)

    def add(self, role: str, parts: list[Json]) -> None:
        """Add *parts* to the turn of *role*, a new one if the last belongs to the other."""
        if not parts:
            return
        if self._waiting and role == "user":
            self._respond()
        if self._open == role:
            self.contents[-1]["parts"] += parts
        else:
            self.contents.append({"role": role, "parts": parts})
            self._open = role

    def instruct(self, message: Json, index: int) -> None:
        """Process a message of instructions."""
        self.system += [{"text": text} for text in content.texts(message["content"])]
        if content.has_media(message["content"]):
            self.translation.notes.drop(f"messages[{index}].content")

    def ask(self, message: Json, index: int) -> None:
        """Process a message of the user."""
        self.add("user", content.parts(self.translation, message["content"], index))

    def answer(self, message: Json, index: int) -> None:
        """Process a message of the model; the results of its calls come before the next turn."""
        parts = assistant.turn(self.translation, message, index)
        self.add("model", parts)
        if past_calls.FIELDS.isdisjoint(message) or not (calls := past_calls.tool_calls(message)):
            return
        native = [part for part in parts if "functionCall" in part]
        for at, (call, tool_call) in enumerate(zip(native, calls, strict=False)):
            function = tool_call.get("function") or tool_call.get("custom") or {}
            self._waiting.append(
                (call, tool_call.get("id"), function.get("name") or "", (index, at))
            )

    def result(self, message: Json, index: int) -> None:
        """Process a result that no call of an earlier message has claimed."""
        if self._waiting:
            self._respond()
        if index in self._answered:
            return
        self.translation.notes.adjust(f"messages[{index}]", "text", "no_call")
        self.add("user", results.as_text(self.translation, message, index))

    def end(self) -> tuple[list[Json], list[Json]]:
        """End the conversation: it must begin and end with the user."""
        if self._waiting:
            self._respond()
        if not self.contents or self.contents[0]["role"] == "model":
            self.contents.insert(0, {"role": "user", "parts": [{"text": " "}]})
        if self.contents[-1]["role"] == "model":
            # Gemini refuses to continue a text of its own without being asked.
            self.contents.append({"role": "user", "parts": [{"text": _CONTINUE}]})
            last = len(self.translation.payload["messages"]) - 1
            self.translation.notes.adjust(f"messages[{last}]", "continued", "ends_with_assistant")
        return self.system, self.contents

    def _respond(self) -> None:
        """Add the result of each waiting call, in one turn and in the order of the calls."""
        waiting, self._waiting = self._waiting, []
        messages, notes = self.translation.payload["messages"], self.translation.notes
        responses, after = [], []
        for call, call_id, name, (index, at) in waiting:
            result_index = self._result(call_id, name, index)
            if result_index is None:
                notes.adjust(f"messages[{index}].tool_calls[{at}]", "answered", "no_result")
                result = None
            else:
                result = messages[result_index]
            part, media = results.function_response(
                self.translation, call, result, result_index or 0
            )
            responses.append(part)
            after += media
        self.contents.append({"role": "user", "parts": responses})
        self._open = None
        self.add("user", after)

    def _result(self, call_id: str | None, name: str, index: int) -> int | None:
        """Return the index of the first result after *index* that answers the call."""
        queues = [self._by_id[call_id]] if call_id and call_id in self._by_id else []
        queues += [self._by_name[key] for key in (name, "") if key in self._by_name]
        for queue in queues:
            while queue and queue[0] < index:
                queue.popleft()
            if queue:
                self._answered.add(queue[0])
                return queue.popleft()
        return None


_RESULTS = frozenset({"tool", "function"})
_ROLES: dict[str, Callable[[_Walk, Json, int], None]] = {
    "system": _Walk.instruct,
    "developer": _Walk.instruct,
    "user": _Walk.ask,
    "assistant": _Walk.answer,
    "tool": _Walk.result,
    "function": _Walk.result,
}
