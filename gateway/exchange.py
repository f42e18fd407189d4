"""What travels through the chain: one `Exchange` per request, its parts, and its dialect.

The exchange is the only thing that middlewares share. Fields without a default are filled by the
middleware that provides them; the order check at start-up rules out reading one too early.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Protocol

from gateway.errors import BadRequest, GatewayError

Json = dict[str, Any]

# The average length of a token of text, where nobody counts.
BYTES_PER_TOKEN = 4
# Money is summed up in integers of this unit: fractions would not stay exact.
NANOS_PER_USD = 1_000_000_000
# The number of calls that a `usageMetadata` is the sum of; Gemini's own never has this field.
CALLS = "calls"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a license may use; None means no limit."""

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    requests_per_day: int | None = None
    concurrent_requests: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None


LIMITS = tuple(limit.name for limit in fields(Limits))


@dataclass(frozen=True, slots=True)
class License:
    """The caller's license: everything but the secret."""

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
    """Fields that were dropped or changed in translation, reported in the answer's headers.

    *is_strict* means that the client allows no change, not even one that avoids a refusal.
    """

    __slots__ = ("adjusted", "dropped", "is_strict")

    def __init__(self) -> None:
        self.is_strict = False
        self.adjusted: dict[str, str] = {}
        self.dropped: dict[str, None] = {}

    def adjust(self, name: str, to: str, reason: str) -> None:
        """Note that field *name* was sent as *to* because of *reason* (short lower-case words)."""
        self.adjusted[name] = f"{to};reason={reason}"

    def drop(self, name: str) -> None:
        """Note that field *name* was not sent."""
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

    What may have another price than text is counted separately as well: sound and images in the
    prompt, sound in its cached part, images, sound and video in the completion, *searches* of the
    web or of images and those of *maps*. The counts are the sum of *calls* calls. *tier* is the
    service tier that served them, in Gemini's spelling; empty if unknown.
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
        """Add the counts of *other*; the tier stays."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))


_COUNTS = tuple(one.name for one in fields(Usage) if one.type is int)


# Not frozen, unlike its two siblings: making a frozen one takes three times as long.
@dataclass(slots=True)
class UpstreamCall:
    """One request in Gemini's wire form; replaced, never changed.

    *copies* is above 1 when the model refuses to give several candidates: that many equal calls are
    made. *further* are the bodies of more calls like it, for input that does not fit into one. A
    *verbatim* call is the client's own: neither a refusal nor a weak answer changes it. *project*
    is the one, among those of the credentials, that owns the files this call refers to. *names*
    maps function names that Gemini would refuse back to the client's.
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
    """How the exchange ended; read by the log line, the ledger and the limits.

    *cost* is an estimate in USD; None where no price is known. *unread* are events that arrived but
    were not passed to `Reply.feed`, because another call failed; *wasted* is what models used for
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
    """Translates the events of one upstream reply; holds all the state needed for that.

    A chunk is the variable part of one frame of the client's stream: `{"choices": [...]}` or
    `{"choices": [], "usage": {...}}`. A whole upstream answer has the shape of one event.
    """

    @property
    def usage(self) -> Usage | None:
        """The counts so far, also of a reply that was cut."""

    @property
    def finish_reason(self) -> str | None:
        """Why the first choice ended, in the client's vocabulary; None while it goes on."""

    @property
    def model(self) -> str | None:
        """The model that answered, as upstream names it; None as long as it has not."""

    @property
    def sunset(self) -> str | None:
        """When upstream retires the model, as an HTTP date; None if upstream has not said so."""

    def open(self) -> list[Json]:
        """Return the chunks to send before the first event: the role. Idempotent with `feed`."""

    def feed(self, *events: Json) -> list[Json]:
        """Translate the events of one read; raise `GatewayError` for one that is an error."""

    def finish(self, *, broken: bool = False) -> list[Json]:
        """Return the closing chunks; raise `UpstreamTruncated` if upstream never finished.

        *broken* means that its body ended before its time.
        """

    def encode(self, chunks: list[Json]) -> bytes:
        """Return the frames of *chunks* as bytes."""

    def collect(self, chunks: list[Json]) -> Json:
        """Fold all chunks of the reply, `finish` included, into the whole answer."""

    def memories(self) -> list[tuple[str, bytes]]:
        """Return what the next turn of this conversation needs, as pairs of key and value."""


@dataclass(slots=True)
class Known:
    """What a translation may use besides the payload, gathered by the middlewares before it.

    Never changed once it is made.

    *media* is keyed by (message index, part index). *memories* holds what is remembered under
    the dialect's keys. *refusals* are the features that this model is known to refuse. *created*
    is the answer's time in seconds since 1970, *model* the name that aliases and replacements
    resolve to. *cost* estimates the price of some usage in USD, None without a known price.
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
    """The protocol of one kind of client. Pure: no I/O, no clock but the one passed in.

    *end* closes a stream, *keepalive* is a chunk that says nothing; an empty one is encoded to
    something that serves as a comment, too. *has_messages* means that payloads hold OpenAI's
    messages, whose media are processed.
    """

    name: str
    has_messages: bool
    end: bytes
    keepalive: Json

    def check(self, payload: Json) -> None:
        """Raise `BadRequest` with *param* for what is missing or of a wrong type only."""

    def cached_content(self, payload: Json) -> tuple[str, str] | None:
        """Return the field that names the cached content *payload* builds on, and that name."""

    def memory_keys(self, payload: Json, media: Mapping[tuple[int, int], Blob]) -> list[str]:
        """Return the keys of the memories that translating *payload* would use.

        *media* is as in `Known`.
        """

    def lost_keys(self, payload: Json, memories: Mapping[str, bytes]) -> list[str]:
        """Return further keys, of what *memories*, found by the first ones, does not hold."""

    def call(self, payload: Json, known: Known, notes: Notes) -> UpstreamCall:
        """Translate the checked *payload* into the upstream call."""

    def reply(self, call: UpstreamCall, payload: Json, known: Known) -> Reply:
        """Return the translator of the reply."""

    def client_field(self, exchange: "Exchange", field: str) -> str:
        """Return the client's name of the Gemini *field* that was refused."""

    def render(self, error: GatewayError) -> Json:
        """Return the client's error body."""

    def encode_error(self, error: GatewayError) -> bytes:
        """Return the frame that reports *error* in mid-stream."""


def _nothing(_size: int = 0) -> None:
    """Count and release nothing."""


@dataclass(slots=True)
class Exchange:
    """One request on its way through the gateway. *started* is in monotonic seconds.

    *requested_model* has no suffixes; aliases and replacements may lead elsewhere. *media_project*
    is the project whose Files API holds some of *media*. *finish_media*, where it is not None, must
    run before the call is sent: it uploads large media and puts their addresses into *media* and
    *call*, and raises `GatewayError`. *hold* counts bytes that are kept in memory besides the body,
    negative ones that no longer are, and raises `Unavailable` where all requests keep too many.
    *release* is called once neither these nor the payload are needed, at the latest when the
    exchange ends.
    """

    id: str
    dialect: Dialect
    started: float
    carries_payload: bool = False
    license: License = field(init=False)
    payload: Json = field(init=False)
    media: dict[tuple[int, int], Blob] = field(default_factory=dict)
    media_project: str | None = None
    finish_media: Callable[[], Awaitable[None]] | None = None
    requested_model: str = field(init=False)
    call: UpstreamCall = field(init=False)
    reply: Reply = field(init=False)
    notes: Notes = field(default_factory=Notes)
    headers: dict[str, str] = field(default_factory=dict)
    hold: Callable[[int], None] = _nothing
    release: Callable[[], None] = _nothing
    outcome: Outcome = field(default_factory=Outcome)


Batches = AsyncIterator[list[Json]]
