"""One upstream key and how it fares."""

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
    # Tells the key from another one of the same name, where the key itself must not be.
    mark: str = field(init=False)

    def __post_init__(self) -> None:
        self.mark = sha256(self.key.encode()).hexdigest()[:MARK_LENGTH]

    @property
    def scope(self) -> str:
        """Return what its quotas, files and cached content belong to: its project."""
        return self.project or self.mark
