"""Mail addresses: ``email`` is exact, ``mailbox`` folds what leads to one inbox."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from schemas.identifiers.kinds import IdentifierError, IdentifierType, clean

__all__ = ["TYPES"]

_GOOGLE = ("gmail.com", "googlemail.com")


def _email(text: str, _region: str) -> str:
    value = clean(text).removeprefix("mailto:").casefold()
    # The library refuses names reserved for documentation; they are well formed.
    try:
        found = validate_email(value, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        raise IdentifierError(f"is not a mail address: {error}") from None
    return f"{found.local_part}@{found.ascii_domain or found.domain}".lower()


def _mailbox(text: str, _region: str) -> str:
    local, _, domain = _email(text, "").rpartition("@")
    local = local.partition("+")[0]
    if domain in _GOOGLE:
        local, domain = local.replace(".", ""), "gmail.com"
    return f"{local}@{domain}"


def _of_email(email: str) -> list[tuple[str, str]]:
    return [("mailbox", _mailbox(email, ""))]


TYPES = (
    IdentifierType(
        "email",
        "scarce",
        _email,
        ("mail", "e-mail", "email address", "courriel", "correo"),
        _of_email,
    ),
    IdentifierType("mailbox", "scarce", _mailbox),
)
