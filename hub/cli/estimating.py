"""``hub screen --estimate``: tokens, time and quota, for a person and for scripts."""

from __future__ import annotations

from typing import Any

import click

from hub.cli.progress import duration
from hub.errors import HubError
from hub.estimate import Estimate, Rest, rests
from hub.store.ledger import Ledger
from hub.tokens import Tokenizer
from hub.wiring import Hub

__all__ = ["RATE", "body_of", "rests_of", "text_of"]

RATE = "token_rate"
"""Under which name the ledger keeps the rate that was measured last."""


def rests_of(
    hub: Hub, tokenizer: Tokenizer, estimate: Estimate
) -> dict[str, Rest] | None:
    """Return what is left of the quotas, or None when no node tells."""
    try:
        return rests(
            tokenizer,
            estimate.tokens,
            lambda node: hub.node_client(node).get_json("/v1/usage"),
        )
    except (HubError, KeyError, TypeError, ValueError) as error:
        click.echo(f"hub: the rest of the quota is not known: {error}", err=True)
        return None


def body_of(
    estimate: Estimate, left: dict[str, Rest] | None, ledger: Ledger
) -> dict[str, Any]:
    """Return the estimate as JSON."""
    rate = ledger.get(RATE)
    total = sum(estimate.tokens.values())
    quota = {
        name: {
            "needed": needed,
            "left": left[name].left,
            "fits": needed <= left[name].left,
            "days": left[name].days(needed),
        }
        for name, needed in estimate.tokens.items()
        if left is not None
    }
    return {
        "rows": estimate.rows,
        "tokens": estimate.tokens,
        "cached": estimate.cached,
        "rate": rate,
        "seconds": round(total / rate, 1) if rate else None,
        "quota": quota if left is not None else None,
    }


def text_of(body: dict[str, Any]) -> list[str]:
    """Return the estimate for a person."""
    total = sum(body["tokens"].values())
    cached = f"{body['cached']:,} more are cached and cost nothing"
    lines = [f"{body['rows']:,} rows need {total:,} tokens; {cached}."]
    if total and body["rate"]:
        spent = duration(body["seconds"])
        lines.append(
            f"About {spent}, at {body['rate']:,.0f} tokens/s as measured last."
        )
    elif total:
        lines.append("How long it takes is not known: no rate was measured here yet.")
    for name, quota in (body["quota"] or {}).items():
        lines.append(_quota(name, quota))
    return lines


def _quota(name: str, quota: dict[str, Any]) -> str:
    text = (
        f"{name}: {quota['needed']:,} tokens, {quota['left']:,} left of today's quota"
    )
    if quota["fits"]:
        return f"{text}."
    return (
        f"{text}: they do not fit into it. It takes {quota['days']} days; run it again "
        "every day, as tokens that were asked for are cached."
    )
