"""What all changes of bodies share: their signature, and the reason that the client reads."""

from collections.abc import Callable

from gateway.exchange import Notes, UpstreamCall

# Removes a feature; returns the call itself if it does not use the feature.
Change = Callable[[UpstreamCall, Notes], UpstreamCall]
# Keeps a setting between the least and the most that the model accepts.
Limit = Callable[[UpstreamCall, Notes, int, int], UpstreamCall]

REASON = "model"
