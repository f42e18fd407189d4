"""What 10,000 licenses cost: time to load and to look up, memory; and the cost of booking a row.

Run with `python -m benchmarks.licenses`.
"""

import asyncio
import gc
import os
import time
import tracemalloc
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from gateway.database.engine import Database
from gateway.exchange import License, Limits
from gateway.licenses.book import Book
from gateway.licenses.records import NewLicense
from gateway.licenses.store import LicenseStore

COUNT = 10_000
LOOKUPS = 200_000


class Measured(NamedTuple):
    """Seconds of the processor to load all and per look-up, bytes that stay."""

    load_s: float
    lookup_s: float
    held_bytes: int


async def measure(folder: Path, count: int = COUNT) -> Measured:
    """Fill a database in *folder* with *count* licenses and read them into a book."""
    database = Database(f"sqlite+aiosqlite:///{folder}/licenses.db")
    await database.migrate()
    store = LicenseStore(database)
    keys = [f"gw-{number}-{os.urandom(24).hex()}" for number in range(count)]
    await store.add_all([NewLicense(_license(number), key) for number, key in enumerate(keys)])
    began = time.process_time()
    loaded = await store.load()
    book = Book()
    book.replace_keyed(loaded.pepper, loaded.licenses)
    load_s = time.process_time() - began
    del loaded, book
    held_bytes, book = await _memory_of_book(store, keys)
    began = time.process_time()
    for number in range(LOOKUPS):
        book.find(keys[number % count])
    lookup_s = (time.process_time() - began) / LOOKUPS
    await database.close()
    return Measured(load_s, lookup_s, held_bytes)


async def _memory_of_book(store: LicenseStore, keys: list[str]) -> tuple[int, Book]:
    """Return the bytes that a book holds once each license was used, and the book."""
    gc.collect()
    tracemalloc.start()
    loaded = await store.load()
    book = Book()
    book.replace_keyed(loaded.pepper, loaded.licenses)
    del loaded
    assert all(book.find(key) is not None for key in keys)
    gc.collect()
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held_bytes, book


def _license(number: int) -> License:
    limits = Limits(requests_per_minute=60, tokens_per_minute=200_000, usd_per_month=20.0)
    models = ("gemini-2.5-*", "gemini-3*")
    return License(f"user-{number}", f"Owner {number}", models=models, limits=limits)


if __name__ == "__main__":
    with TemporaryDirectory() as place:
        measured = asyncio.run(measure(Path(place)))
    print(f"load {COUNT} licenses: {measured.load_s * 1000:.0f} ms")
    print(f"look one up:          {measured.lookup_s * 1e6:.2f} us")
    print(f"memory:               {measured.held_bytes / 1e6:.1f} MB")
