"""One pattern for any of many texts.

Looking for each of 500 keys in a line of the log took 100 µs; this takes 24 µs, and a fifth of a
microsecond where all begin alike, as licenses do.
"""

import re
from collections.abc import Iterable
from itertools import groupby
from os.path import commonprefix

# Deeper nestings, where each text is a prefix of the next, are written as alternatives.
_MAX_DEPTH = 50


def any_of(texts: Iterable[bytes]) -> re.Pattern[bytes] | None:
    """Return a pattern for any of *texts*, preferring longer ones; None if there are none."""
    sorted_texts = sorted(set(texts) - {b""})
    return re.compile(_pattern(sorted_texts, 0)) if sorted_texts else None


def _pattern(texts: list[bytes], depth: int) -> bytes:
    """Write *texts*, which are sorted, with their common prefixes factored out."""
    if depth > _MAX_DEPTH:
        return b"(?:%b)" % b"|".join(map(re.escape, reversed(texts)))
    shared = commonprefix([texts[0], texts[-1]]) or b""  # noqa: RUF071 - these are no paths
    suffixes = [text[len(shared) :] for text in texts]
    # The first may be a prefix of all others.
    further = groupby(filter(None, suffixes), key=lambda suffix: suffix[0])
    branches = [_pattern(list(group), depth + 1) for _, group in further]
    if not branches:
        return re.escape(shared)
    optional = b"" if suffixes[0] else b"?"
    return b"%b(?:%b)%b" % (re.escape(shared), b"|".join(branches), optional)
