"""Schemes of company and tax numbers: which check each country's numbers have.

A check is a module of python-stdnum, with a length behind it if only that one names a
number in the whole country, or a pattern where there is no module. Where a country has
several schemes, a number without one is of the only scheme whose check it passes.
"""

from __future__ import annotations

import importlib
import re
from functools import cache
from typing import Any

from stdnum.exceptions import ValidationError

from schemas.identifiers.kinds import IdentifierError, compact

__all__ = ["COMPANY", "PERSONAL", "TAX", "checked"]

Schemes = dict[str, dict[str, str]]

COMPANY: Schemes = {
    "AT": {"fn": "at.businessid"},
    "AU": {"abn": "au.abn", "acn": "au.acn"},
    "BE": {"kbo": "be.vat"},
    "BR": {"cnpj": "br.cnpj"},
    "CA": {"bn": "ca.bn"},
    "CH": {"uid": "ch.uid"},
    "DK": {"cvr": "dk.cvr"},
    "EE": {"registrikood": "ee.registrikood"},
    "FI": {"ytunnus": "fi.ytunnus"},
    "FR": {"siren": "fr.siren", "siret": "fr.siret"},
    "GB": {"crn": "=(?:[A-Z]{2}|[0-9]{2})[0-9]{6}"},
    "IL": {"hp": "il.hp"},
    "JP": {"cn": "jp.cn"},
    "KR": {"brn": "kr.brn"},
    "NL": {"kvk": "=[0-9]{8}"},
    "NO": {"orgnr": "no.orgnr"},
    "PL": {"regon": "pl.regon", "krs": "=0[0-9]{9}"},
    "RU": {"ogrn": "ru.ogrn"},
    "SE": {"orgnr": "se.orgnr"},
    "SG": {"uen": "sg.uen"},
    "TW": {"ubn": "tw.ubn"},
    "UA": {"edrpou": "ua.edrpou"},
}
TAX: Schemes = {
    "AR": {"cuit": "ar.cuit"},
    "BR": {"cnpj": "br.cnpj", "cpf": "br.cpf"},
    "CL": {"rut": "cl.rut"},
    "CO": {"nit": "co.nit"},
    "DE": {"stnr": "de.stnr/13"},
    "EC": {"ruc": "ec.ruc"},
    "ES": {"nif": "es.nif"},
    "GB": {"utr": "gb.utr"},
    "HU": {"anum": "hu.anum"},
    "ID": {"npwp": "id.npwp"},
    "IN": {"gstin": "in_.gstin", "pan": "in_.pan"},
    "IT": {"codicefiscale": "it.codicefiscale"},
    "MX": {"rfc": "mx.rfc"},
    "NZ": {"ird": "nz.ird"},
    "PE": {"ruc": "pe.ruc"},
    "PL": {"nip": "pl.nip"},
    "PT": {"nif": "pt.nif"},
    "RO": {"cui": "ro.cui"},
    "RS": {"pib": "rs.pib"},
    "RU": {"inn": "ru.inn"},
    "TR": {"vkn": "tr.vkn"},
    "UA": {"rntrc": "ua.rntrc"},
    "US": {"ein": "us.ein"},
    "VN": {"mst": "vn.mst"},
    "ZA": {"tin": "za.tin"},
}
# Numbers that a person has for life. They are no business of a list of sellers.
PERSONAL: Schemes = {
    "AU": {"tfn": "au.tfn"},
    "CA": {"sin": "ca.sin"},
    "CN": {"ric": "cn.ric"},
    "DE": {"idnr": "de.idnr"},
    "FR": {"nir": "fr.nir"},
    "IN": {"aadhaar": "in_.aadhaar"},
    "US": {"ssn": "us.ssn"},
}


@cache
def _module(name: str) -> Any:
    return importlib.import_module(f"stdnum.{name}")


def checked(check: str, text: str) -> str | None:
    """Return a number in the form of its check, or None if it fails.

    Args:
        check: A module of python-stdnum, ``/`` and a length; or ``=`` and a pattern.
        text: The number in upper-case letters and digits.
    """
    if check.startswith("="):
        return text if re.fullmatch(check[1:], text) else None
    name, _, length = check.partition("/")
    # Austria's check letter is a small one; most modules do not mind.
    for form in (text, text.lower()):
        try:
            found = compact(str(_module(name).validate(form)))
        except (ValidationError, IdentifierError):
            continue
        if not length or len(found) == int(length):
            return found
    return None
