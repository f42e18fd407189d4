"""Everything that can go wrong with a request, as one tree.

    GatewayError                      500 server_error
    ├── BadRequest                    400 invalid_request_error
    │   ├── UnsupportedMedia          400 invalid_request_error  unsupported_media_format
    │   └── InvalidMedia              400 invalid_request_error  invalid_media
    ├── Unauthorized                  401 invalid_request_error  invalid_api_key
    ├── Forbidden                     403 invalid_request_error  permission_denied
    ├── NotFound                      404 invalid_request_error  not_found
    │   └── ModelNotFound             404 invalid_request_error  model_not_found
    ├── MethodNotAllowed              405 invalid_request_error  method_not_allowed
    ├── RequestTimedOut               408 invalid_request_error  request_timeout
    ├── TooLarge                      413 invalid_request_error  request_too_large
    ├── UnsupportedEncoding           415 invalid_request_error  unsupported_content_encoding
    ├── RateLimited                   429 rate_limit_error       rate_limit_exceeded
    ├── QuotaSpent                    429 insufficient_quota     insufficient_quota
    ├── Unavailable                   503 server_error           unavailable
    └── UpstreamError                 502 server_error           upstream_error
        ├── UpstreamTruncated         502 server_error           upstream_stream_truncated
        ├── UpstreamEmpty             502 server_error           upstream_empty
        ├── UpstreamTimeout           504 server_error           upstream_timeout
        ├── UpstreamOverloaded        503 server_error           overloaded
        └── UpstreamAuth              503 server_error           upstream_auth_error

Errors are raised where they are found; `edge` answers before the first byte, `relay` in-band after
it. The message tells the client what to change, *param* names the field at fault
(`messages[2].content[1].image_url`).
"""

from collections.abc import Sequence
from typing import ClassVar, Final, Self

# A longer wait is only mentioned in the message: SDKs would sleep it out, up to an hour.
LONGEST_RETRY_AFTER_S: Final = 60.0


class GatewayError(Exception):
    """An error that the client is told about.

    *retry_after* is in seconds; *code* replaces the class's own where upstream has a more specific
    one.
    """

    status: ClassVar[int] = 500
    type: ClassVar[str] = "server_error"
    default_code: ClassVar[str | None] = "internal_error"

    def __init__(
        self,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.code = code or self.default_code
        self.retry_after = retry_after

    def bare(self) -> Self:
        """Return this error without its traceback.

        The frames hold the request with all its media, and would live as long as the error is kept.
        """
        self.__cause__ = self.__context__ = None
        return self.with_traceback(None)


class BadRequest(GatewayError):
    """The request cannot be understood or carried out as it is."""

    status = 400
    type = "invalid_request_error"
    default_code = "invalid_request"


class UnsupportedMedia(BadRequest):
    """The bytes of a media part are in a format that Gemini does not accept."""

    default_code = "unsupported_media_format"


class InvalidMedia(BadRequest):
    """A media part is broken, empty, too large, unreachable or contradicts its own type."""

    default_code = "invalid_media"


class Unauthorized(GatewayError):
    """No license, or an unknown one."""

    status = 401
    type = "invalid_request_error"
    default_code = "invalid_api_key"


class Forbidden(GatewayError):
    """The license is known but may not do this."""

    status = 403
    type = "invalid_request_error"
    default_code = "permission_denied"


class NotFound(GatewayError):
    """Nothing exists at this address."""

    status = 404
    type = "invalid_request_error"
    default_code = "not_found"


class ModelNotFound(NotFound):
    """Neither upstream nor the replacement table knows the model."""

    default_code = "model_not_found"


class MethodNotAllowed(GatewayError):
    """The address exists, the method does not."""

    status = 405
    type = "invalid_request_error"
    default_code = "method_not_allowed"

    def __init__(self, message: str, *, allowed: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTimedOut(GatewayError):
    """The request did not arrive in time, its head or its body."""

    status = 408
    type = "invalid_request_error"
    default_code = "request_timeout"


class TooLarge(GatewayError):
    """The request's body is over the limit."""

    status = 413
    type = "invalid_request_error"
    default_code = "request_too_large"


class UnsupportedEncoding(GatewayError):
    """The request's body is compressed."""

    status = 415
    type = "invalid_request_error"
    default_code = "unsupported_content_encoding"


class RateLimited(GatewayError):
    """A limit that resets soon: a rate window, a concurrency slot, a key that cools down."""

    status = 429
    type = "rate_limit_error"
    default_code = "rate_limit_exceeded"


class QuotaSpent(GatewayError):
    """A limit that does not reset soon: the quota of a day or a month."""

    status = 429
    type = "insufficient_quota"
    default_code = "insufficient_quota"


class Unavailable(GatewayError):
    """The gateway itself cannot serve now: draining, overloaded, no usable credential."""

    status = 503
    default_code = "unavailable"


class UpstreamError(GatewayError):
    """Gemini failed, or the response did not come from Gemini."""

    status = 502
    default_code = "upstream_error"


class UpstreamTruncated(UpstreamError):
    """The stream ended without a finish reason."""

    default_code = "upstream_stream_truncated"


class UpstreamEmpty(UpstreamError):
    """The answer contained nothing that could be relayed."""

    default_code = "upstream_empty"


class UpstreamTimeout(UpstreamError):
    """No answer within the limit, or a longer silence than allowed."""

    status = 504
    default_code = "upstream_timeout"


class UpstreamOverloaded(UpstreamError):
    """The model has no capacity now."""

    status = 503
    default_code = "overloaded"


class UpstreamAuth(UpstreamError):
    """Upstream accepts no credential; never the client's fault."""

    status = 503
    default_code = "upstream_auth_error"
