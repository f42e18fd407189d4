"""Function names: invalid ones are made valid for Gemini, always in the same way."""

import re
from hashlib import blake2b

# Google's proto allows 128 characters, older routes 64.
_VALID = re.compile(r"[A-Za-z_][A-Za-z0-9_.:-]{0,63}")
_INVALID = re.compile(r"[^A-Za-z0-9_.:-]")


def wire_name(name: str) -> str:
    """Return *name* if Gemini accepts it, else a valid one that no other name is turned into."""
    if _VALID.fullmatch(name):
        return name
    digest = blake2b(name.encode(errors="surrogatepass"), digest_size=4).hexdigest()
    return f"_{_INVALID.sub('_', name)[:54]}_{digest}"
