"""Mail addresses: ``email`` is exact, ``mailbox`` folds what leads to one inbox.

The case of the local part is folded, though a host may tell cases apart: none that
people use does. ``mailbox`` drops what follows a plus sign, which is false only for
hosts where a plus is a letter like others, and Gmail's dots.
"""

from __future__ import annotations

import re

from email_validator import EmailNotValidError, validate_email

from schemas.identifiers.kinds import (
    IdentifierError,
    IdentifierType,
    Variants,
    clean,
    refang,
)
from schemas.identifiers.web import exact_host

__all__ = ["TYPES"]

_GOOGLE = ("gmail.com", "googlemail.com")
_NAMED = re.compile(r"[^<>]*<([^<>]+)>")
# SPEC: RFC 5321 section 4.5.3.1.3, less the angle brackets.
_LONGEST = 254
_MAILTO = re.compile(r"mailto:([^?]*)(?:\?.*)?", re.IGNORECASE)


def _email(text: str, _region: str) -> str:
    value = refang(clean(text))
    for form in (_NAMED, _MAILTO):
        inner = form.fullmatch(value)
        value = inner[1].strip() if inner else value
    local, at, domain = value.rpartition("@")
    if not at:
        raise IdentifierError("is not a mail address: it has no @")
    try:
        host = exact_host(domain)
        # The host is judged as any other host, so that one rule holds for all types.
        checked = validate_email(
            f"{local.lower()}@mail.example",
            check_deliverability=False,
            test_environment=True,
        )
    except (EmailNotValidError, IdentifierError) as error:
        raise IdentifierError(f"is not a mail address: {error}") from None
    found = f"{checked.local_part}@{host}"
    if len(found) > _LONGEST:
        raise IdentifierError(f"is not a mail address: more than {_LONGEST} characters")
    return found


def _mailbox(text: str, _region: str) -> str:
    return _inbox(_email(text, ""))


def _inbox(email: str) -> str:
    local, _, domain = email.rpartition("@")
    # Without what follows the plus sign, a dot can stand at the end, where none may.
    local = local.partition("+")[0].rstrip(".") or local
    if domain in _GOOGLE:
        domain = "gmail.com"
        local = local.replace(".", "") if local.isascii() else local
    return f"{local}@{domain}"


def _of_email(email: str) -> Variants:
    return [("mailbox", _inbox(email))]


TYPES = (
    IdentifierType(
        "email",
        "scarce",
        "names and hosts can be guessed; mostly personal",
        "`local@host`: lower case, A-labels",
        "form; `email-validator`",
        _email,
        (
            "mail",
            "e-mail",
            "email address",
            "e-mail address",
            "mail address",
            "contact email",
            "paypal email",
            "courriel",
            "adresse email",
            "adresse e-mail",
            "adresse mail",
            "e-mail-adresse",
            "mailadresse",
            "correo",
            "correo electrónico",
            "posta elettronica",
            "indirizzo email",
            "e-mailadres",
            "emailadres",
            "endereço de email",
            "adres email",
            "adres e-mail",
        ),
        _of_email,
    ),
    IdentifierType(
        "mailbox",
        "scarce",
        "as `email`",
        "`email` without `+tag`; Gmail without dots, as `gmail.com`",
        "as `email`",
        _mailbox,
    ),
)
