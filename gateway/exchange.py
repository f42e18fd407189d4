"""What travels: one `Exchange` per request, its parts, and the dialect that it speaks.

The exchange is the only thing middlewares share. Fields without a default are filled by the
middleware that provides them; the order check at start-up makes an early read impossible.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

from gateway.errors import BadRequest, GatewayError

Json = dict[str, Any]

# What a token of text is on average, where nobody counts them.
BYTES_PER_TOKEN = 4
# Where `usageMetadata` that was added up tells of how many calls it is; Gemini's own never does.
CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a license may use; None is without limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    concurrent_requests: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None


@dataclass(frozen=True, slots=True)
class License:
    """Who asks: everything but the secret."""

    id: str
    owner: str = ""
    note: str = ""
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    limits: Limits = Limits()
    timezone: str = "UTC"
    expires: datetime | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Blob:
    """One media part, ready for the body: bytes as base64 in *data*, or an address in *uri*.

    *mime* is the type that Gemini takes; None for addresses whose type Gemini finds out itself.
    """

    mime: str | None
    data: str | None = None
    uri: str | None = None


class Notes:
    """What was dropped or changed on the way, told in the answer's headers.

    *is_strict* tells that the client allows no change, also none that a refusal leads to.
    """

    __slots__ = ("adjusted", "dropped", "is_strict")

    def __init__(self) -> None:
        self.is_strict = False
        self.adjusted: dict[str, str] = {}
        self.dropped: dict[str, None] = {}

    def adjust(self, name: str, to: str, reason: str) -> None:
        """Note that field *name* went up as *to* because of *reason* (short lower-case words)."""
        self.adjusted[name] = f"{to};reason={reason}"

    def drop(self, name: str) -> None:
        """Note that field *name* did not go up."""
        self.dropped[name] = None

    def refuse_if_any(self) -> None:
        """Raise `BadRequest` naming the first field: strict mode allows no change."""
        for name in (*self.dropped, *self.adjusted):
            raise BadRequest(
                f"{name!r} cannot be sent to this model as it is, and x-gateway-strict is set.",
                param=name,
                code="strict_mode",
            )


@dataclass(slots=True)
class Usage:
    """Token counts: *prompt* includes *cached*, *completion* includes *thoughts*.

    What may cost another price than text is counted besides: sound and images in the prompt, sound
    in its cached part, images, sound and videos in the completion, *searches* of the web and those
    of *maps*. It is the sum of so many *calls*. *tier* is the one that served it, in Gemini's word;
    empty where it was not told.
    """

    prompt: int = 0
    completion: int = 0
    total: int = 0
    cached: int = 0
    thoughts: int = 0
    audio_input: int = 0
    image_input: int = 0
    audio_cached: int = 0
    image_output: int = 0
    audio_output: int = 0
    video_output: int = 0
    searches: int = 0
    maps: int = 0
    calls: int = 1
    tier: str = ""

    def add(self, other: "Usage") -> None:
        """Count *other* in; the tier stays."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_COUNTS = tuple(one.name for one in fields(Usage) if one.type is int)


# Not frozen, as the other two of its kind: that would make them three times as slow to make.
@dataclass(slots=True)
class UpstreamCall:
    """One request in Gemini's wire form; never changed, replaced.

    *copies* is above 1 when the model refuses several candidates: so many equal calls are made.
    *further* are the bodies of more calls like it, for what does not go into one. A *verbatim* one
    is the client's own: no refusal and no weak answer leads to a change of it.
    *project* is the one, of those the credentials are of, that owns the files this call refers to.
    *names* gives the client's name of each function whose name Gemini would not take.
    """

    model: str
    body: Json
    stream: bool
    action: str = "generateContent"
    copies: int = 1
    project: str | None = None
    names: Mapping[str, str] = field(default_factory=dict)
    further: tuple[Json, ...] = ()
    verbatim: bool = False


@dataclass(slots=True)
class Outcome:
    """What became of the exchange; read by the log line, the ledger and the limits.

    *cost* is in USD, an estimate; None where no price is known. *unread* are events that came and
    that `Reply.feed` was not given, because another call failed; *wasted* is what models used for
    answers that were asked for again.
    """

    begun: bool = False
    first_event_at: float | None = None
    attempts: int = 0
    credential: str | None = None
    model: str | None = None
    usage: Usage | None = None
    cost: float | None = None
    finish_reason: str | None = None
    error: GatewayError | None = None
    client_gone: bool = False
    status: int = 0
    unread: tuple[Json, ...] = ()
    wasted: tuple[tuple[str, Usage], ...] = ()


class Reply(Protocol):
    """Translates the events of one upstream reply; holds all the state of doing so.

    A chunk is what varies in one frame of the client's stream: `{"choices": [...]}` or
    `{"choices": [], "usage": {...}}`. A whole upstream answer has the shape of one event.
    """

    @property
    def usage(self) -> Usage | None:
        """The counts so far, also of a reply that was cut."""

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended, in the client's word; None while it goes on."""

    @property
    def sunset(self) -> str | None:
        """When upstream retires the model, as an HTTP date; None while it did not say."""

    def open(self) -> list[Json]:
        """Give the chunks that go out before the first event: the role. Idempotent with `feed`."""

    def feed(self, *events: Json) -> list[Json]:
        """Translate the events of one read; raise `GatewayError` for one that is an error."""

    def finish(self) -> list[Json]:
        """Give the closing chunks; raise `UpstreamTruncated` if upstream never finished."""

    def encode(self, chunks: list[Json]) -> bytes:
        """Give the frames of *chunks* as bytes."""

    def collect(self, chunks: list[Json]) -> Json:
        """Fold all chunks of the reply, `finish` included, into the whole answer."""

    def memories(self) -> list[tuple[str, bytes]]:
        """Give what the next turn of this conversation needs, as key and value."""


@dataclass(slots=True)
class Known:
    """What a translation may use besides the payload, gathered by the middlewares before it.

    Never changed once it is made.

    *media* is keyed by (message index, part index). *memories* holds what is remembered under
    `Dialect.memory_keys`. *refusals* are the features that this model is known to refuse. *created*
    is the answer's time in seconds since 1970, *model* is what an alias or replacement made of the
    name asked for. *cost* estimates the price in USD of what was used, None without a known price.
    """

    exchange_id: str
    created: int = 0
    model: str | None = None
    media: Mapping[tuple[int, int], Blob] = field(default_factory=dict)
    memories: Mapping[str, bytes] = field(default_factory=dict)
    refusals: frozenset[str] = frozenset()
    image_output: str = "markdown"
    cost: Callable[[Usage], float | None] = lambda _: None
    safety: Mapping[str, str] | None = None


class Dialect(Protocol):
    """How one kind of client speaks. Pure: no I/O, no clock but the one handed in.

    *end* closes a stream, *keepalive* is a chunk that says nothing; an empty one is encoded to
    something that takes the place of a comment, too. *has_messages* tells that payloads hold
    OpenAI's messages, whose media are looked at.
    """

    name: str
    has_messages: bool
    end: bytes
    keepalive: Json

    def check(self, payload: Json) -> None:
        """Refuse with `BadRequest` and *param* what is missing or of a wrong type, nothing else."""

    def cached_content(self, payload: Json) -> tuple[str, str] | None:
        """Give the name of the cached content that *payload* builds on, after the field's own."""

    def memory_keys(self, payload: Json, media: Mapping[tuple[int, int], Blob]) -> list[str]:
        """Give the keys of the memories that a translation of *payload* would use.

        *media* are as in `Known`.
        """

    def call(self, payload: Json, known: Known, notes: Notes) -> UpstreamCall:
        """Translate the checked *payload* into the upstream call."""

    def reply(self, call: UpstreamCall, payload: Json, known: Known) -> Reply:
        """Make the translator for what comes back."""

    def client_field(self, exchange: "Exchange", field: str) -> str:
        """Give the client's name of what Gemini refuses as its own *field*."""

    def render(self, error: GatewayError) -> Json:
        """Give the client's error body."""

    def encode_error(self, error: GatewayError) -> bytes:
        """Give the frame that tells of *error* in mid-stream."""


def _nothing() -> None:
    """Release nothing."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the gateway. *started* is monotonic seconds.

    *requested_model* has no suffixes; aliases and replacements may lead elsewhere.
    *media_project* is the one whose Files API holds some of *media*. *release* is called once
    the payload is not needed any more, at the latest when the exchange ends.
    """

    id: str
    dialect: Dialect
    started: float
    carries_payload: bool = False
    strict: bool = False
    license: License = field(init=False)
    payload: Json = field(init=False)
    media: dict[tuple[int, int], Blob] = field(default_factory=dict)
    media_project: str | None = None
    requested_model: str = field(init=False)
    call: UpstreamCall = field(init=False)
    reply: Reply = field(init=False)
    notes: Notes = field(default_factory=Notes)
    headers: dict[str, str] = field(default_factory=dict)
    release: Callable[[], None] = _nothing
    outcome: Outcome = field(default_factory=Outcome)


Batches = AsyncIterator[list[Json]]
