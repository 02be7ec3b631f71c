"""An audit report as one HTML file that stands on its own: no script, no link out.

What comes from a mirror is hostile text; the template escapes all of it.
"""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined

from hub.audit.report import Report
from hub.audit.words import limits, summary
from hub.directory import Pin
from hub.model import render_time

__all__ = ["render_page"]

_TEMPLATES = Environment(
    loader=PackageLoader("hub.audit", "."),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["time"] = render_time


def render_page(report: Report, pin: Pin, now: int) -> str:
    """Return the page.

    Args:
        report: The audit.
        pin: What it trusted.
        now: When it was made.
    """
    return _TEMPLATES.get_template("page.html").render(
        report=report,
        pin=pin,
        made=render_time(now),
        summary=summary(report),
        limits=limits(report),
    )
