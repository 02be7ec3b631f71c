"""Figures for Prometheus, read from the store when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flask import Response, g
from flask_smorest import Blueprint
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from hub.api import serving
from hub.api.described import raw
from hub.freezing import is_frozen
from hub.peering import alarms, peerings
from hub.witness import visible

__all__ = ["blueprint"]

blueprint = Blueprint("metrics", __name__, description=__doc__)
TEXT = "text/plain; version=0.0.4; charset=utf-8"


class _Figures(Collector):
    """What the store says now."""

    def __init__(self, node: Any, *, named: bool):
        self._node, self._named = node, named

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield every figure with its labels."""
        yield from self._feeds()
        if self._node.federation is not None:
            yield from self._peers()

    def _feeds(self) -> Iterator[GaugeMetricFamily]:
        size = GaugeMetricFamily(
            "hub_feed_entries", "Entries of a feed stored here.", labels=["feed"]
        )
        shown = GaugeMetricFamily(
            "hub_feed_entries_vouched",
            "Entries of a feed below the newest head with its quorum.",
            labels=["feed"],
        )
        frozen = GaugeMetricFamily(
            "hub_feed_frozen", "1 if its home signed two histories.", labels=["feed"]
        )
        with self._node.hub.store.read() as tx:
            directory = self._node.hub.registry.directory(tx)
            for feed, head in tx.heads.all().items():
                seen = visible(tx, directory, feed)
                size.add_metric([feed], head.size)
                shown.add_metric([feed], seen.size if seen else 0)
                frozen.add_metric([feed], int(is_frozen(tx, directory, feed)))
            facts = len(tx.federation.evidence())
        if self._named:
            # What no quorum vouches for yet is not for strangers.
            yield size
        yield shown
        yield frozen
        evidence = GaugeMetricFamily(
            "hub_evidence", "Facts that convict somebody, as far as known here."
        )
        evidence.add_metric([], facts)
        yield evidence

    def _peers(self) -> Iterator[GaugeMetricFamily]:
        figures = {
            "hub_peer_lag_entries": "Entries that we have and the peer has not.",
            "hub_peer_last_success_seconds": "When the peer last answered well.",
            "hub_peer_failures": "Failures since the peer last answered well.",
            "hub_peer_cosigned_heads": "Heads of ours that the peer cosigned.",
        }
        families = {
            name: GaugeMetricFamily(name, text, labels=["peer"])
            for name, text in figures.items()
        }
        for peer in peerings(self._node.federation):
            values = (peer.lag, peer.ok, peer.failures, peer.cosigned)
            for family, value in zip(families.values(), values, strict=True):
                family.add_metric([peer.name], value)
        yield from families.values()
        count = GaugeMetricFamily("hub_alarms", "What the operator should look at.")
        count.add_metric([], sum(1 for _ in alarms(self._node.federation)))
        yield count


@blueprint.route("/metrics")
@blueprint.response(200, **raw(TEXT, "Figures in the text form of Prometheus."))
def metrics() -> Response:
    """Sizes, quorums, lag of peers and alarms of this node."""
    registry = CollectorRegistry()
    registry.register(_Figures(serving(), named=bool(g.caller.owner)))
    return Response(generate_latest(registry), content_type=TEXT)
