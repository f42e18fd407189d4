"""What an upstream failure means: for the request, for the credential, for the client. Pure.

One failed attempt becomes one `Fault`, raised in a `Failed`. Its `Kind` decides everything that
follows, by the table `POLICIES` in `gateway.upstream.retry`; its *error* is what the client gets if
no other attempt succeeds.
"""

from dataclasses import dataclass
from enum import Enum, auto

from gateway.errors import GatewayError, UpstreamAuth


class Kind(Enum):
    """The kinds of failure, by what they say about request, credential, model and network."""

    REQUEST = auto()
    """The request itself is refused."""
    NOT_HERE = auto()
    """The key's project lacks what the request names; another key's may have it."""
    MODEL_UNKNOWN = auto()
    """No model has this name, or no longer."""
    KEY_INVALID = auto()
    """The key is not accepted now, but may be again later."""
    KEY_DEAD = auto()
    """The key or its project is suspended, leaked or not enabled."""
    REGION = auto()
    """Google does not serve the region that the request comes from."""
    BUSY = auto()
    """The key's quota for this model is used up for some seconds or minutes."""
    SPENT = auto()
    """The key's quota for this model is used up for the day."""
    NOT_IN_PLAN = auto()
    """The model is not in the key's plan at all."""
    SHARED = auto()
    """The capacity shared by everybody is used up."""
    INTERNAL = auto()
    """The service failed."""
    OVERLOADED = auto()
    """The model has no capacity now, whatever the key."""
    DEADLINE = auto()
    """The service gave up on the request."""
    NETWORK = auto()
    """No connection, or it broke before the head."""
    CRAMPED = auto()
    """The gateway itself has no descriptor left for a connection."""
    STUCK = auto()
    """No head or first event within the limit."""
    GARBAGE = auto()
    """The response is not Gemini's: HTML, nothing, truncated JSON."""
    REDIRECT = auto()
    """A redirect; following it would give the key away."""
    WEAK = auto()
    """An empty or malformed first answer that is worth one more try."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One failed attempt. *retry_after_s* is the delay that upstream asks for, in seconds.

    Where the credential is at fault, the delay applies to that credential only. *reason* is logged
    for a broken network; no client gets it. *is_local* means that the same call may succeed from
    another machine: Google refuses the address of this one.
    """

    kind: Kind
    error: GatewayError
    retry_after_s: float | None = None
    reason: str = ""
    is_local: bool = False


class Failed(Exception):
    """An attempt ended before its first event, with *fault*; *final* rules out another attempt."""

    def __init__(self, fault: Fault, *, final: bool = False) -> None:
        super().__init__(fault.kind.name)
        self.fault = fault
        self.final = final

    def or_what_tells_more(self, last: "Failed | None") -> "Failed":
        """Return this failure, or the *last* one if this only says that no key is left."""
        if last and self.final and isinstance(self.fault.error, UpstreamAuth):
            return Failed(last.fault, final=True)
        return self
