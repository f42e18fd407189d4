"""The tools that the model is offered, and their form in the body."""

from dataclasses import dataclass, field
from typing import Any

from gateway.dialects.openai_chat import native
from gateway.dialects.openai_chat.translation import Translation
from gateway.exchange import Json

_AUTO: Json = {"mode": "AUTO"}
# In these modes Gemini adheres to the schemas (ai.google.dev: function-calling).
_CONSTRAINED = frozenset({"ANY", "VALIDATED", "NONE"})
_SHOWING = "google.include_server_side_tool_invocations"


@dataclass(slots=True)
class Tools:
    """What is sent: *declarations* by wire name, *builtins* by native name, the *choice*.

    *names* gives the client's name of each function that has another one upstream, *strict* the
    path of the first function whose arguments must fit its schema.
    """

    declarations: dict[str, Json] = field(default_factory=dict)
    builtins: dict[str, Any] = field(default_factory=dict)
    choice: Json | None = None
    names: dict[str, str] = field(default_factory=dict)
    strict: str | None = None

    def put_into(self, body: Json, translation: Translation) -> None:
        """Add the tools and their configuration to *body*."""
        if self is NO_TOOLS:
            return
        tools: list[Json] = []
        if self.declarations:
            tools.append({"functionDeclarations": list(self.declarations.values())})
        tools += [{name: settings} for name, settings in self.builtins.items()]
        config: Json = {}
        if self.declarations and self.choice is not None:
            config["functionCallingConfig"] = self.choice
        self._combine(config, translation)
        if self.strict and config.get("functionCallingConfig", _AUTO)["mode"] not in _CONSTRAINED:
            translation.notes.drop(self.strict)
        retrieval = translation.google.get("retrievalConfig")
        if retrieval is not None and not tools:
            translation.notes.drop("google.retrieval_config")
        elif retrieval is not None:
            config["retrievalConfig"] = native.fit(
                retrieval, native.RETRIEVAL_CONFIG, "google.retrieval_config", translation.notes
            )
        if tools:
            body["tools"] = tools
            if config:
                body["toolConfig"] = config

    def _combine(self, config: Json, translation: Translation) -> None:
        """Add to *config* what it takes to combine both kinds of tools, or show built-in ones."""
        shows_invocations = translation.google.get("includeServerSideToolInvocations")
        if shows_invocations is not None:
            native.fit(shows_invocations, bool, _SHOWING, translation.notes)
        if not self.builtins or "builtins_with_functions" in translation.can.refuses:
            if shows_invocations:
                translation.note_drop(_SHOWING)
            return
        if self.declarations and (self.choice is None or self.choice["mode"] == "AUTO"):
            # AUTO is refused where both are allowed (ai.google.dev: tool-combination).
            config["functionCallingConfig"] = {"mode": "VALIDATED"}
            if "functionCallingConfig" in translation.google:
                field = "google.function_calling_config"
                translation.notes.adjust(field, "validated", "builtin")
        if self.declarations and shows_invocations is False:
            translation.notes.adjust(_SHOWING, "true", "functions")
        if self.declarations or shows_invocations:
            config["includeServerSideToolInvocations"] = True


# The tools of a request without any, as most are; never changed.
NO_TOOLS = Tools()
