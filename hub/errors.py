"""The errors that the hub raises on purpose, grouped by what the caller should do.

::

    HubError                  every error raised on purpose: .code, .advice
    ├── ConfigError           the operator must edit config.toml or the folder
    ├── MalformedError        the bytes are not what they claim; retrying is useless
    │   └── ProofError        a Merkle proof does not prove what it claims
    ├── RefusedError          well formed but not allowed: unknown member, closed key
    │   ├── QuotaError        too much, too soon; carries when to come back
    │   │   └── RateError     too many requests a minute
    │   ├── ClockSkewError    signed at another time than now; carries the node's time
    │   └── NotHomeError      another node orders this feed; carries its URL
    ├── ConflictError         somebody was faster; re-read, then retry
    ├── UnavailableError      a store or a peer cannot be reached; retry later
    └── MisbehaviourError     somebody broke the protocol; carries evidence
        ├── ForkError
        └── RollbackError

HTTP statuses live in ``hub/api/errors.py`` and exit codes in ``hub/cli``; this module
knows neither. A broken invariant of our own is an ``AssertionError``, never a
``HubError``.
"""

from __future__ import annotations

__all__ = [
    "ClockSkewError",
    "ConfigError",
    "ConflictError",
    "ForkError",
    "HubError",
    "MalformedError",
    "MisbehaviourError",
    "NotHomeError",
    "ProofError",
    "QuotaError",
    "RateError",
    "RefusedError",
    "RollbackError",
    "UnavailableError",
]


class HubError(Exception):
    """Base of every error raised on purpose.

    Args:
        message: What is wrong, for a person.
        code: A stable slug; problem documents and scripts build on it.
        advice: One sentence that says what to do about it.
    """

    default_code = "error"

    def __init__(self, message: str, *, code: str | None = None, advice: str = ""):
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.advice = advice

    def __str__(self) -> str:
        return self.message


class ConfigError(HubError):
    """The operator must edit the configuration or mend the folder."""

    default_code = "configuration"


class MalformedError(HubError):
    """The bytes are not what they claim to be; retrying is useless."""

    default_code = "malformed"


class ProofError(MalformedError):
    """A Merkle proof does not prove what it claims."""

    default_code = "bad-proof"


class RefusedError(HubError):
    """Well formed, but not allowed."""

    default_code = "refused"


class QuotaError(RefusedError):
    """The caller asked for more than its quota allows now.

    Args:
        message: What is exhausted.
        retry_after: Seconds after which the same request can succeed.
    """

    default_code = "quota-exceeded"

    def __init__(self, message: str, *, retry_after: int):
        super().__init__(
            message, advice=f"Ask again in {retry_after} seconds, or ask for a grant."
        )
        self.retry_after = retry_after


class RateError(QuotaError):
    """The caller sent more requests in a minute than a node takes.

    Args:
        message: Which limit was passed.
        retry_after: Seconds after which a request is taken again.
    """

    default_code = "rate-limited"

    def __init__(self, message: str, *, retry_after: int):
        super().__init__(message, retry_after=retry_after)
        self.advice = f"Ask again in {retry_after} seconds."


class ClockSkewError(RefusedError):
    """The caller's clock and the node's differ by too much.

    Args:
        message: What was refused.
        time: The node's time in POSIX seconds.
    """

    default_code = "clock-skew"

    def __init__(self, message: str, *, time: int):
        super().__init__(message, advice="Set the clock of your machine.")
        self.time = time


class NotHomeError(RefusedError):
    """Another node orders and signs this feed.

    Args:
        message: Which node is the home.
        home: The URL of the home, or empty when it is not known.
    """

    default_code = "not-home"

    def __init__(self, message: str, *, home: str = "", advice: str = ""):
        super().__init__(
            message, advice=advice or (f"Send it to {home}." if home else "")
        )
        self.home = home


class ConflictError(HubError):
    """Somebody was faster: re-read what is known now, then retry."""

    default_code = "conflict"


class UnavailableError(HubError):
    """A store or a peer cannot be reached now; the same call may succeed later."""

    default_code = "unavailable"


class MisbehaviourError(HubError):
    """Somebody broke the protocol.

    Args:
        message: Who did what.
        evidence: Bytes that prove it to anybody, or None when it cannot be proved.
        code: A stable slug.
        advice: One sentence that says what to do about it.
    """

    default_code = "misbehaviour"

    def __init__(
        self,
        message: str,
        *,
        evidence: bytes | None = None,
        code: str | None = None,
        advice: str = "",
    ):
        super().__init__(message, code=code, advice=advice)
        self.evidence = evidence


class ForkError(MisbehaviourError):
    """Two signed heads of one feed cannot both be true."""

    default_code = "fork"


class RollbackError(MisbehaviourError):
    """A head is older than one that was already seen."""

    default_code = "rollback"
