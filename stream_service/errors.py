"""One tree of errors, each mapped once to an HTTP status and a stable wire code.

    OmniDropError
    ├── InvalidInput            400  invalid_input           a field is wrong: names it and the remedy
    │   ├── InvalidSdp          400  invalid_sdp
    │   ├── InvalidQuestion     400  invalid_question
    │   └── InvalidConfig       400  invalid_config          exits the command line with status 2
    ├── UnsupportedMedia        415  unsupported_media       wrong content type or no codec in common
    ├── TooLarge                413  too_large
    ├── Unauthorised            401  unauthorised
    ├── Forbidden               403  forbidden
    ├── NotFound                404  not_found
    ├── Conflict                409  conflict                e.g. a session name in use
    ├── PreconditionFailed      412  precondition_failed     WHIP If-Match names another ICE session (RFC 9725 §4.3)
    ├── PreconditionRequired    428  precondition_required
    ├── Busy                    429  busy                    carries retry_after
    ├── ServerFull              503  server_full             carries retry_after
    ├── EngineUnavailable       503  engine_unavailable      carries retry_after
    ├── LogUnavailable          503  log_unavailable         the events' database does not answer; carries retry_after
    └── StartupError            500  startup                 port in use, missing weights: the command line prints it

Facts are attributes; ``remedy`` is a sentence that tells the reader what to do.
"""

from __future__ import annotations


class OmniDropError(Exception):
    """Base of every error the service raises on purpose."""

    status = 500
    code = "internal"

    def __init__(
        self, message: str, *, remedy: str, field: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.field = field
        self.retry_after = retry_after


class InvalidInput(OmniDropError):
    status, code = 400, "invalid_input"


class InvalidSdp(InvalidInput):
    code = "invalid_sdp"


class InvalidQuestion(InvalidInput):
    code = "invalid_question"


class InvalidConfig(InvalidInput):
    code = "invalid_config"


class UnsupportedMedia(OmniDropError):
    status, code = 415, "unsupported_media"


class TooLarge(OmniDropError):
    status, code = 413, "too_large"


class Unauthorised(OmniDropError):
    status, code = 401, "unauthorised"


class Forbidden(OmniDropError):
    status, code = 403, "forbidden"


class NotFound(OmniDropError):
    status, code = 404, "not_found"


class Conflict(OmniDropError):
    status, code = 409, "conflict"


class PreconditionFailed(OmniDropError):
    status, code = 412, "precondition_failed"


class PreconditionRequired(OmniDropError):
    status, code = 428, "precondition_required"


class Busy(OmniDropError):
    status, code = 429, "busy"


class ServerFull(OmniDropError):
    status, code = 503, "server_full"


class EngineUnavailable(OmniDropError):
    status, code = 503, "engine_unavailable"


class LogUnavailable(OmniDropError):
    status, code = 503, "log_unavailable"


class StartupError(OmniDropError):
    status, code = 500, "startup"
