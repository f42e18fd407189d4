"""One upstream key and its state."""

from dataclasses import dataclass, field
from hashlib import sha256

MARK_LENGTH = 12


@dataclass(slots=True, eq=False)
class Credential:
    """One upstream key. Times are monotonic seconds."""

    name: str
    key: str = field(repr=False)
    weight: float = 1.0
    project: str | None = None
    leases: int = 0
    last_used: float = 0.0
    out_until: float = 0.0
    out_reason: str | None = None
    # Distinguishes the key from another one of the same name, without revealing the key.
    mark: str = field(init=False)

    def __post_init__(self) -> None:
        self.mark = sha256(self.key.encode()).hexdigest()[:MARK_LENGTH]

    @property
    def scope(self) -> str:
        """Return the project that its quotas, files and cached content belong to."""
        return self.project or self.mark
