"""Remembers whether a server is worth waiting for."""

from typing import Final

FAILURES_TO_OPEN: Final = 3
# Failures closer together than this count as one: all requests that met the same hiccup.
ONE_HICCUP_S: Final = 0.04


class Breaker:
    """Opens at the third failure in a row; closes at the first success. Times are monotonic.

    It is *doubtful* while the latest news of the server is a failure.
    """

    __slots__ = ("_failures", "_last", "doubtful", "open")

    def __init__(self) -> None:
        self.open = False
        self.doubtful = False
        self._failures = 0
        self._last = -ONE_HICCUP_S

    def failed(self, now: float) -> None:
        """Count a failure at *now*."""
        self.doubtful = True
        if now - self._last >= ONE_HICCUP_S:
            self._failures += 1
            self._last = now
        self.open = self.open or self._failures >= FAILURES_TO_OPEN

    def trip(self) -> None:
        """Open at once: a patient probe has failed."""
        self.open = self.doubtful = True

    def worked(self) -> None:
        """Note a success, which closes the breaker."""
        self.open = self.doubtful = False
        self._failures = 0
