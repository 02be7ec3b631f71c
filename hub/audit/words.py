"""An audit report in sentences, for the terminal and the page."""

from __future__ import annotations

from typing import Any

from hub.audit.report import Report

__all__ = ["limits", "summary", "terminal"]


def summary(report: Report) -> str:
    """Return the one sentence that everybody reads."""
    count = len(report.findings)
    found = "no finding" if not count else f"{count} finding{'s'[: count > 1]}"
    return f"{report.entries} entries verified, {found}."


def limits(report: Report) -> list[str]:
    """Return what this audit cannot say, so that nobody reads it into the report."""
    said = []
    bare = [f["feed"] for f in report.feeds if not f["witnesses"]]
    if len(bare) == len(report.feeds):
        said.append(
            "No other node cosigned any of these heads. So nothing here proves when "
            "something was published, and a home that shows others another history is "
            "noticed only by comparing nodes: hub audit --node URL --node URL."
        )
    elif bare:
        said.append(
            f"No other node cosigned the heads of {', '.join(bare)}: nothing proves a "
            "time for what stands there."
        )
    if any(f.get("basis") == "claims" for f in report.feeds):
        said.append(
            "Feeds that nobody cosigned are cut by the times that their own entries "
            "claim, which proves nothing."
        )
    if not report.nodes:
        said.append(
            "This is one copy. What its source withheld altogether cannot be missed "
            "from it."
        )
    if report.erased or report.lost:
        said.append(
            "What erased and lost lines said cannot be checked; their digests and "
            "places can, and were."
        )
    return said + report.open


def terminal(report: Report) -> list[str]:
    """Return the report as lines of text."""
    text = [f"{report.alliance} as of {report.as_of}, registry {report.registry}"]
    text += [_feed(feed) for feed in report.feeds]
    text += [_node(node) for node in report.nodes]
    text += _counts(report.counts)
    text += [f"void: {name} (its key was closed before)" for name in report.void]
    text += [f"erased: {e['entry']} by {e['by']}" for e in report.erased]
    text += [f"lost: {e['entry']}, deleted by {e['by']}, void now" for e in report.lost]
    for finding in report.findings:
        text.append(f"FINDING {finding.kind} {finding.entry}: {finding.detail}")
        text.append(f"        {finding.advice}")
    text += [f"warning: {sentence}" for sentence in report.warnings]
    text += [f"evidence: {name}" for name in sorted(report.evidence)]
    text += [f"cannot say: {sentence}" for sentence in limits(report)]
    return [*text, summary(report)]


def _feed(feed: dict[str, Any]) -> str:
    text = f"{feed['feed']}: {feed['size']} entries in {feed['batches']} batches"
    if feed["witnesses"]:
        names = ", ".join(w["node"] for w in feed["witnesses"])
        text += f", cosigned by {names}"
    if feed.get("basis") == "claims":
        text += ", by its own times"
    elif feed.get("known_by"):
        text += f", known by {feed['known_by']}"
    return text


def _node(node: dict[str, Any]) -> str:
    if node["problem"]:
        return f"{node['url']}: {node['problem']}"
    behind = {f: n for f, n in node["behind"].items() if n}
    if not behind:
        return f"{node['url']}: has all of it"
    return f"{node['url']}: lags by " + ", ".join(
        f"{n} entries of {feed}" for feed, n in behind.items()
    )


def _counts(counts: dict[str, Any] | None) -> list[str]:
    if counts is None:
        return []
    by = ", ".join(f"{name} {n}" for name, n in counts["by_member"].items())
    active = (
        f"active then: {counts['reports']} reports on {counts['listed']} tokens, "
        f"{counts['disputed']} disputed{f' ({by})' if by else ''}"
    )
    gone = f"erased since then, so not counted: {counts['erased_since']} lines"
    return [active, gone] if counts["erased_since"] else [active]
