"""Removes from one call what its model refuses, and remembers it once that has helped."""

from gateway.exchange import Notes, UpstreamCall
from gateway.healing import heal
from gateway.protocols import Refusals

# Google reports one refusal at a time; each is handled once, up to this many.
MOST_MENDS = 6
_NONE: frozenset[str] = frozenset()


class Mending:
    """The refusals of one call. *notes* report to the client what was changed because of them."""

    __slots__ = ("_mended", "_notes", "_refusals", "_unproven")

    def __init__(self, refusals: Refusals, notes: Notes) -> None:
        self._refusals = refusals
        self._notes = notes
        self._mended = _NONE
        # Upstream's message, the model it concerns, and the feature removed because of it.
        self._unproven: tuple[str, str, str] | None = None

    def mend(self, call: UpstreamCall, message: str) -> UpstreamCall | None:
        """Remove from *call* what *message* complains about; return None if there is nothing.

        Raises `BadRequest` where the client allows no change.
        """
        if message in self._mended or len(self._mended) >= MOST_MENDS:
            # The change made for this message did not help.
            return None
        healed = heal(call, message, self._notes)
        if healed is None:
            return None
        self._mended |= {message}
        if healed.feature is not None:
            self._unproven = (message, call.model, healed.feature)
        if self._notes.is_strict:
            self._notes.refuse_if_any()
        return healed.call

    def prove(self, message: str | None = None) -> None:
        """Remember the cause of the last change, unless upstream repeats the same *message*."""
        if self._unproven is not None:
            refusal, model, feature = self._unproven
            self._unproven = None
            if refusal != message:
                self._refusals.learn(model, feature)
