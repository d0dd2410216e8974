"""What can go wrong between a client and a server, as one tree; each ends the command line with a status of its own.

ClientError
├── SourceError      3  the file or device cannot be played
├── ServerProblem    4  the server refused, and says why (RFC 9457)
├── ConnectionLost   5  no server there, no media path, or it broke
└── NoAnswer         6  the question was not understood, cancelled, or never answered
"""

from __future__ import annotations


class ClientError(Exception):
    """``message`` says what happened, ``remedy`` what the reader can do about it."""

    exit_status = 1

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy


class SourceError(ClientError):
    exit_status = 3


class ServerProblem(ClientError):
    """A problem document. ``code`` is stable; ``status`` is 0 when the refusal came over the WebSocket."""

    exit_status = 4

    def __init__(self, message: str, *, remedy: str, status: int, code: str, retry_after: float | None = None) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.code = code
        self.retry_after = retry_after


class ConnectionLost(ClientError):
    exit_status = 5


class NoAnswer(ClientError):
    exit_status = 6
