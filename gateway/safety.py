"""The categories of harm that Gemini distinguishes, and the thresholds for blocking them.

`HarmCategory` and `HarmBlockThreshold` of the API's discovery document of 2026-09.
"""

_PREFIX = "HARM_CATEGORY_"
CATEGORIES = frozenset(
    _PREFIX + name
    for name in (
        "HARASSMENT",
        "HATE_SPEECH",
        "SEXUALLY_EXPLICIT",
        "DANGEROUS_CONTENT",
        "CIVIC_INTEGRITY",
        "JAILBREAK",
    )
)
THRESHOLDS = frozenset(
    {
        "HARM_BLOCK_THRESHOLD_UNSPECIFIED",
        "BLOCK_LOW_AND_ABOVE",
        "BLOCK_MEDIUM_AND_ABOVE",
        "BLOCK_ONLY_HIGH",
        "BLOCK_NONE",
        "OFF",
    }
)


def category_of(name: str) -> str:
    """Return the full name of the category *name*: `harassment` is `HARM_CATEGORY_HARASSMENT`."""
    name = name.upper()
    return name if name.startswith(_PREFIX) else _PREFIX + name
