"""The typed shape of `config.toml`, with every default. Durations in seconds, sizes in bytes.

The options are described where users read about them: in the shipped `config.toml`.
"""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Port = Annotated[int, Meta(ge=0, le=65_535)]
Seconds = Annotated[float, Meta(gt=0)]
Bytes = Annotated[int, Meta(gt=0)]
Count = Annotated[int, Meta(gt=0)]
Amount = Annotated[int, Meta(ge=0)]
Usd = Annotated[float, Meta(ge=0, le=1e9)]
Limit = Annotated[int, Meta(gt=0, le=2**53)]
Quota = Annotated[float, Meta(gt=0, le=1e9)]
OnStoreFailure = Literal["local", "allow", "deny"]


class ConfigError(Exception):
    """The configuration is invalid; the text says where, why, and what was perhaps meant."""


class Section(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A table of `config.toml`; unknown keys are refused."""


class Server(Section, frozen=True):
    """Where the gateway listens and how long it waits for clients."""

    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Count = 1
    prefix: Annotated[str, Meta(pattern=r"^(/[A-Za-z0-9_-]+)+$")] = "/gemini"
    root_aliases: bool = False
    trusted_proxies: tuple[str, ...] = ("127.0.0.1/32", "::1/128")
    max_body_bytes: Bytes = 104_857_600
    max_buffered_bytes: Amount = 0
    max_connections: Amount = 0
    header_timeout_s: Seconds = 10.0
    body_timeout_s: Seconds = 60.0
    send_timeout_s: Seconds = 60.0
    drain_timeout_s: Seconds = 30.0
    drain_listen_s: Annotated[float, Meta(ge=0)] = 5.0


class Credential(Section, frozen=True):
    """One upstream key; exactly one of *key*, *key_env*, *key_file* is given."""

    name: str
    key: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    weight: Annotated[float, Meta(gt=0)] = 1.0
    project: str | None = None

    def __repr__(self) -> str:
        return f"Credential(name={self.name!r})"


class Upstream(Section, frozen=True):
    """Gemini's address, limits on waiting for it, and the credentials."""

    base_url: str = "https://generativelanguage.googleapis.com"
    proxy: str = ""
    connect_timeout_s: Seconds = 5.0
    first_event_timeout_s: Seconds = 120.0
    idle_timeout_s: Seconds = 60.0
    deadline_s: Seconds = 600.0
    max_attempts: Count = 3
    commit_after_s: Seconds = 10.0
    keepalive_s: Seconds = 15.0
    keepalive: Literal["chunk", "comment", "off"] = "chunk"
    hedge_after_s: Annotated[float, Meta(ge=0)] = 0.0
    credentials: tuple[Credential, ...] = ()


class License(Section, frozen=True):
    """One fixed license; exactly one of *key*, *key_env*, *key_file*, *key_sha256* is given."""

    id: str
    key: str | None = None
    key_env: str | None = None
    key_file: str | None = None
    key_sha256: Annotated[str, Meta(pattern=r"^[0-9A-Fa-f]{64}$")] | None = None
    owner: str = ""
    note: str = ""
    requests_per_minute: Limit | None = None
    tokens_per_minute: Limit | None = None
    requests_per_day: Limit | None = None
    concurrent_requests: Limit | None = None
    tokens_per_day: Limit | None = None
    tokens_per_month: Limit | None = None
    usd_per_day: Quota | None = None
    usd_per_month: Quota | None = None
    timezone: str = "UTC"
    models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    expires: datetime | None = None
    disabled: bool = False

    def __repr__(self) -> str:
        return f"License(id={self.id!r})"


class State(Section, frozen=True):
    """Where counters, cool-downs and memories live."""

    url: str = "memory://"
    # Braces would decide which slot of a Cluster a key belongs to.
    namespace: Annotated[str, Meta(pattern=r"^[^{}]*$")] = "gateway"
    timeout_s: Seconds = 0.05


class Database(Section, frozen=True):
    """Where licenses and the usage ledger live.

    At most one of *pepper*, *pepper_env* and *pepper_file* is not empty.
    """

    url: str = "sqlite+aiosqlite:///gateway.db"
    pepper: str = ""
    pepper_env: str = ""
    pepper_file: str = ""
    spill: str = "gateway-spill"


class Ledger(Section, frozen=True):
    """How long usage is kept; 0 days means for ever."""

    keep_days: Annotated[int, Meta(ge=0, le=36_500)] = 0


class LimitPolicy(Section, frozen=True):
    """What happens to limits and licenses while their stores are down."""

    on_store_failure: OnStoreFailure = "local"
    license_max_stale_s: Seconds = 3600.0


class Media(Section, frozen=True):
    """Bounds on what is fetched, decoded and uploaded."""

    timeout_s: Seconds = 10.0
    connect_timeout_s: Seconds = 3.0
    idle_timeout_s: Seconds = 5.0
    max_redirects: Amount = 3
    max_fetches: Count = 32
    max_fetches_per_license: Count = 4
    max_item_bytes: Bytes = 20_971_520
    max_request_bytes: Bytes = 62_914_560
    max_items: Count = 20
    allow_hosts: tuple[str, ...] = ()
    allow_ports: tuple[Port, ...] = (80, 443)
    url_mode: Literal["fetch", "pass"] = "fetch"
    upload_above_bytes: Bytes = 15_728_640
    upload_timeout_s: Seconds = 120.0


class Replacement(Section, frozen=True):
    """The model that answers for one that was shut down, and since when."""

    model: str
    since: date | None = None


class Rates(Section, frozen=True):
    """USD per million tokens; kinds of tokens without a price of their own cost as much as text."""

    input: Usd
    output: Usd
    cached: Usd | None = None
    audio_input: Usd | None = None
    audio_cached: Usd | None = None
    image_output: Usd | None = None
    audio_output: Usd | None = None
    video_output: Usd | None = None


class LongRates(Rates, frozen=True, kw_only=True):
    """The price of all tokens of a call whose prompt has more than *above* tokens."""

    above: Count


class Price(Rates, frozen=True):
    """What a model costs now, with *long* prompts, and what it will cost *next*.

    Searches cost USD per thousand: either each query of the web, of images or of maps, or each
    prompt that led to any.
    """

    search_queries: Usd = 0.0
    search_prompts: Usd = 0.0
    map_prompts: Usd = 0.0
    long: LongRates | None = None
    next: "NextPrice | None" = None


class NextPrice(Price, frozen=True, kw_only=True):
    """What a model costs from the beginning of the day *since*, in UTC."""

    since: date


class Models(Section, frozen=True):
    """Names: aliases, replacements, fallbacks, prices.

    *tiers* maps a service tier to its multiple of the price.
    """

    list_ttl_s: Seconds = 300.0
    aliases: dict[str, str] = field(default_factory=dict)
    replacements: dict[str, Replacement] = field(default_factory=dict)
    fallbacks: dict[str, tuple[str, ...]] = field(default_factory=dict)
    prices: dict[str, Price] = field(default_factory=dict)
    tiers: dict[str, Usd] = field(default_factory=dict)


class Chat(Section, frozen=True):
    """Defaults of the chat dialect."""

    image_output: Literal["markdown", "images"] = "markdown"
    safety: dict[str, str] | None = None


class Cors(Section, frozen=True):
    """Which origins browsers may call from; none by default."""

    origins: tuple[str, ...] = ()


class Log(Section, frozen=True):
    """How much is logged, and in which form."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "console"] = "auto"


class Admin(Section, frozen=True):
    """The port of `/metrics`; 0 turns it off."""

    host: str = "127.0.0.1"
    port: Port = 0


class Tracing(Section, frozen=True):
    """Whether spans are sent; the rest is in OpenTelemetry's own environment variables."""

    enabled: bool = False


class Settings(Section, frozen=True):
    """The whole file. *middlewares* stays raw: each middleware checks its own table."""

    server: Server = Server()
    upstream: Upstream = Upstream()
    licenses: tuple[License, ...] = ()
    state: State = State()
    database: Database = Database()
    ledger: Ledger = Ledger()
    limits: LimitPolicy = LimitPolicy()
    media: Media = Media()
    models: Models = Models()
    chat: Chat = Chat()
    cors: Cors = Cors()
    log: Log = Log()
    admin: Admin = Admin()
    tracing: Tracing = Tracing()
    middlewares: tuple[dict[str, Any], ...] = (
        {"use": "middlewares.cors:Cors"},
        {"use": "middlewares.license:LicenseAuth"},
        {"use": "middlewares.rate_limit:RateLimit"},
        {"use": "middlewares.payload:Payload"},
        {"use": "middlewares.license:LicenseScope"},
        {"use": "middlewares.media:MediaFormats"},
        {"use": "middlewares.translation:Translation"},
        {"use": "middlewares.rate_limit:TokenEstimate"},
    )
