"""What every change of a body has in common: its form, and the reason that the client reads."""

from collections.abc import Callable

from gateway.exchange import Notes, UpstreamCall

# Takes a feature away; the call itself comes back if it does not use the feature.
Change = Callable[[UpstreamCall, Notes], UpstreamCall]
# Keeps a setting between the least and the most that the model takes.
Limit = Callable[[UpstreamCall, Notes, int, int], UpstreamCall]

REASON = "model"
