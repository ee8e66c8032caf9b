"""Every error that sillok raises on purpose.

    SillokError
      ConfigError          a configuration key or value is wrong; names file, line, key and the remedy
      BadRequest           a parameter or a body cannot be understood
        PushSyntaxError    the body of a push cannot be decoded
        NothingToStore     the push holds no stream
        QuerySyntaxError   the query text cannot be parsed; carries the offset
      QueryRejected        well formed, but over a limit of this tenant
      EntriesRefused       some entries of a push are over a limit; the others are stored
      RateLimited          the tenant sends more than its limits allow
      Overloaded           no room now; carries when to come back
      BodyTooLarge         a body, or what it decompresses to, is over its limit
      Unauthorized         no credentials, or wrong ones
      Forbidden            good credentials, but not for this tenant or this action
      NotFound             the thing asked for is not there
      StoreUnavailable     the engine is down or did not answer in time
        StoreFull          the disk has no room; reads go on
        StoreLocked        another process has this data folder open
      QueryTimeout         a deadline passed before the answer was there
      QueryCancelled       the client went away, or the server stops
      RemoteFailed         another server cannot be reached, or answered with an error; carries its status

Anything else that escapes is a bug, and the server answers 500 for it.
"""

from __future__ import annotations


class SillokError(Exception):
    """An error raised on purpose; its text is meant for the person who caused it."""


class ConfigError(SillokError):
    """A configuration key or value is wrong: the text names where, what and the remedy."""


class BadRequest(SillokError):
    """A parameter or a body cannot be understood."""


class PushSyntaxError(BadRequest):
    """The body of a push cannot be decoded; nothing of it was stored."""


class NothingToStore(BadRequest):
    """The body of a push can be decoded, but holds no stream. Loki answers 422."""


class QuerySyntaxError(BadRequest):
    """The query text cannot be parsed."""

    def __init__(self, message: str, *, offset: int = 0, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.offset = offset
        self.line = line
        self.column = column


class QueryRejected(SillokError):
    """The query is well formed, but over a limit of this tenant."""


class EntriesRefused(SillokError):
    """Some entries of a push are over a limit; the others are stored."""


class RateLimited(SillokError):
    """The tenant sends more than its limits allow."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(SillokError):
    """No room now. Nothing was taken; the client may send again after `retry_after_s` seconds."""

    def __init__(self, message: str, *, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BodyTooLarge(SillokError):
    """A body, or what it decompresses to, is over its limit."""


class Unauthorized(SillokError):
    """No credentials, or wrong ones."""


class Forbidden(SillokError):
    """Good credentials, but not for this tenant or this action."""


class NotFound(SillokError):
    """The thing asked for is not there."""


class StoreUnavailable(SillokError):
    """The engine is down or did not answer in time."""


class StoreFull(StoreUnavailable):
    """The disk has no room for more; reads go on, and pushes are taken again when there is room."""


class StoreLocked(StoreUnavailable):
    """Another process has this data folder open."""


class QueryTimeout(SillokError):
    """A deadline passed before the answer was there."""


class QueryCancelled(SillokError):
    """The client went away, or the server stops."""


class RemoteFailed(SillokError):
    """Another server cannot be reached (`status` None), or answered with an error."""

    def __init__(self, message: str, *, status: int | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s

    @property
    def is_worth_a_retry(self) -> bool:
        return self.status is None or self.status == 429 or self.status >= 500
