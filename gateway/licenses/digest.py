"""License keys: how they are read from a header, made, and stored as digests only.

A key is random, 128 bits or more, so a plain SHA-256 is enough at rest; a password hash would cost
every request milliseconds and protect nothing more.
"""

import hashlib
import hmac
import secrets

# The second is the first without its key, as servers trim it.
_SCHEMES = ("bearer ", "bearer")


def normalised(header: str) -> str:
    """Return the key in *header*, bare or after `Bearer` in any case, without blanks around it."""
    text = header.strip()
    if text[:7].lower() in _SCHEMES:
        text = text[7:].strip()
    return text


def digest(key: str) -> bytes:
    """Return the digest of *key*; all characters that cannot be encoded count as the same."""
    return hashlib.sha256(key.encode("utf-8", "replace")).digest()


def new_key(public_id: str) -> str:
    """Make the key of license *public_id*: `gw-<public id>-<secret>`, 192 random bits."""
    return f"gw-{public_id}-{secrets.token_urlsafe(24)}"


def keyed_digest(key: str, pepper: bytes) -> bytes:
    """Return the digest of *key* in the database: useless without *pepper*."""
    return hmac.digest(pepper, key.encode("utf-8", "replace"), "sha256")
