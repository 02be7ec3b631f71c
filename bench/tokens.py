"""Tokens: evaluation beside the bare arithmetic, and what a client does."""

from __future__ import annotations

from bench.table import Clock, Figure, Print, median, paired
from keys import voprf
from keys.ristretto import combine, multiply_each

__all__ = ["measure"]

COUNT = 1000


def measure(show: Print, *, runs: int, clock: Clock) -> None:
    """Measure evaluation and the client's side."""
    secret = voprf.random_scalar()
    public = voprf.public_of(secret)
    inputs = [voprf.token_input("domain", f"shop-{n}.example") for n in range(COUNT)]
    blinding = voprf.blind(inputs)
    elements = blinding.elements

    def least() -> None:
        # An evaluation multiplies each element and proves it: one sum over all.
        multiply_each(secret, elements)
        combine([secret] * COUNT, elements)

    def ours() -> None:
        voprf.evaluate(secret, public, elements)

    seconds, ceiling = paired([(ours, least)] * runs, clock)
    show(
        Figure(
            "evaluate tokens",
            COUNT / seconds,
            "tokens/s",
            0.9 * COUNT / ceiling,
            ceiling=COUNT / ceiling,
            bare="multiply and add, libsodium",
        )
    )
    answer = voprf.evaluate(secret, public, elements)

    def client() -> None:
        asked = voprf.blind(inputs)
        voprf.check(public, elements, answer.elements, answer.proof)
        voprf.finalise(asked, [(1, answer.elements)])

    rate = COUNT / median([client] * runs, clock)
    show(Figure("blind, check, finalise tokens", rate, "tokens/s"))
