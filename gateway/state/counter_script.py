"""The Lua script that counts on the server, and the binary layout of its requests and answers.

The layouts are defined in `counters.lua`. Numbers are sent as doubles.
"""

from collections.abc import Iterable
from hashlib import sha1
from importlib.resources import files
from struct import Struct, unpack
from typing import Final

from gateway.state.calendar import DAY, MONTH, Windows
from gateway.state.rules import PLACES, Rule

# Counters outlive their windows by this much, for nodes whose clocks differ and overdrawn rates.
KEEP_S: Final = 86_400

SCRIPT: Final = (files("gateway.state") / "counters.lua").read_text("utf-8")
SHA: Final = sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()

# The operations of the script.
TAKE, SETTLE, SEED = 1, 2, 3

_HEAD: Final = Struct("<Bddd")
_RULE: Final = Struct("<BBdddd")
_RATE, _WINDOW, _SLOTS = range(3)
# The flags of an answer to "take".
HAS_VALUES, _DAY_FOLLOWS, _MONTH_FOLLOWS = 1, 2, 4


def pack_request(
    what: int,
    now_us: float,
    slot_ttl_s: float,
    windows: Windows,
    amounts: Iterable[tuple[Rule, int]],
) -> bytes:
    """Pack the operation *what* on *amounts*; *now_us* is 0 for the server's clock."""
    counters_ttl_s = windows.month_end - windows.day_start + KEEP_S
    head = _HEAD.pack(what, now_us, slot_ttl_s * 1e6, counters_ttl_s)
    return head + b"".join([_pack_rule(rule, amount, windows) for rule, amount in amounts])


def unpack_reply(reply: bytes) -> tuple[float, ...]:
    """Unpack the answer to "take".

    Raises `struct.error` or `TypeError` for anything else.
    """
    return unpack(f"<{len(reply) // 8}d", reply)


def windows_counted_in(windows: Windows, flags: int) -> Windows:
    """Return the windows that a take was counted in: later ones if a clock stepped back."""
    if flags & _DAY_FOLLOWS:
        windows = windows.following(DAY)
    return windows.following(MONTH) if flags & _MONTH_FOLLOWS else windows


def _pack_rule(rule: Rule, amount: int, windows: Windows) -> bytes:
    name, kind, limit = rule.name, rule.kind, rule.limit
    if kind == "day":
        return _RULE.pack(PLACES[name], _WINDOW, limit, amount, *windows[:2])
    if kind == "month":
        return _RULE.pack(PLACES[name], _WINDOW, limit, amount, *windows[2:])
    return _RULE.pack(PLACES[name], _SLOTS if kind == "slots" else _RATE, limit, amount, 0, 0)
