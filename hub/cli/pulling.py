"""Pull: mirror all feeds from the first hub that answers, and alert what changed."""

from __future__ import annotations

from collections.abc import Callable

import click

from hub.cli.alerting import Desk, sentence, undelivered
from hub.cli.common import emit, hub_of
from hub.cli.fresh import aged_in, fresh_option, too_old
from hub.cli.progress import Progress
from hub.delivery import Undelivered
from hub.errors import HubError, MisbehaviourError, UnavailableError
from hub.indexing import catch_up
from hub.sync import Pulled
from hub.warning import note_pulled
from hub.wiring import Hub

__all__ = ["COMMANDS", "pull_once", "worst"]


def _silent(_feed: str, _done: int, _size: int) -> None:
    return None


def _say(text: str) -> None:
    click.echo(f"hub: {text}", err=True)


def pull_once(
    hub: Hub,
    progress: Callable[[str, int, int], None] = _silent,
    tell: Callable[[str], None] = _say,
) -> Pulled:
    """Pull from the first configured hub that answers; bring the index up to it.

    What one hub brought before it broke off is kept, and the next one goes on there.

    Args:
        hub: The folder's hub.
        progress: Is told (feed, entries so far, entries in all).
        tell: Is told which hub does not answer when there is another one.

    Raises:
        UnavailableError: None of them answers.
    """
    total = Pulled()
    hubs = hub.config["client"]["hubs"] or [hub.client().url]
    for place, url in enumerate(hubs, 1):
        try:
            found = hub.pull(url, progress)
        except UnavailableError as error:
            if place == len(hubs) and not total.problems:
                raise
            tell(str(error))
            continue
        total.add(found)
        total.feeds, total.problems = _joined(total.feeds), found.problems
        if not any(isinstance(p, UnavailableError) for p in found.problems.values()):
            break
    catch_up(hub.store, hub.registry.directory)
    note_pulled(hub.store, total.problems, hub.clock.now())
    return total


def _joined(feeds: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """Return each feed once, from where the first hub began to where the last ended."""
    spans: dict[str, tuple[int, int]] = {}
    for feed, start, stop in feeds:
        spans[feed] = (spans.get(feed, (start, 0))[0], stop)
    return [(feed, *span) for feed, span in spans.items()]


def _problems(found: Pulled) -> list[HubError]:
    """Return the problems of feeds, named after them, misbehaviour first."""
    for feed, problem in found.problems.items():
        problem.message = f"{feed}: {problem.message}"
    return sorted(found.problems.values(), key=lambda p: not _misbehaved(p))


def worst(found: Pulled) -> HubError | None:
    """Return the problem that decides how a pull ended, named after its feed."""
    return next(iter(_problems(found)), None)


def _misbehaved(problem: HubError) -> bool:
    return isinstance(problem, MisbehaviourError)


@click.command("pull")
@fresh_option
@click.pass_context
def pull_command(context: click.Context, *, require_fresh: bool) -> None:
    """Mirror all feeds, verified, and alert what changed on the watch list."""
    hub = hub_of(context)
    found, problem = Pulled(), None
    with Progress("pulling", "entries") as bar:
        try:
            found = pull_once(hub, _drawn(bar))
        except UnavailableError as error:
            # Reports end with time alone, and what could not be delivered before is
            # tried again: alerts need no hub.
            problem = error
    desk = Desk(hub, hub.ledger())
    desk.note_news()
    with desk.delivering() as (alerts, failed):
        feeds = [{"feed": f, "from": a, "to": b} for f, a, b in found.feeds]
        text = [f"{f}: {a} → {b}" for f, a, b in found.feeds]
        if not text and problem is None:
            text = ["Nothing new."]
        text += map(sentence, alerts)
        body = {
            "feeds": feeds,
            "alerts": alerts,
            "findings": [f.to_json() for f in found.findings],
            "lost": found.lost,
        }
        emit(context, body, text)
    if outdated := desk.outdated():
        click.echo(f"hub: {outdated}", err=True)
    for line in _judged(found):
        click.echo(f"hub: {line}", err=True)
    problems = [*_problems(found), *([problem] if problem else [])]
    if (aged := aged_in(hub)) and require_fresh:
        problems.append(too_old(aged))
    _fail(problems, failed)


def _fail(problems: list[HubError], failed: list[Undelivered]) -> None:
    """Name all that went wrong and raise what decides the status.

    Raises:
        HubError: Something did.
    """
    if failed:
        problems.append(undelivered(failed))
    for other in problems[1:]:
        click.echo(f"hub: {other} {other.advice}".rstrip(), err=True)
    if problems:
        raise problems[0]


def _judged(found: Pulled) -> list[str]:
    """Return what was found wrong and did not stop the pull."""
    said = [f"{f.entry}: {f.detail}. {f.advice}" for f in found.findings]
    return said + [
        f"{name} is lost: it was deleted on the order {by}, which is void now"
        for name, by in found.lost.items()
    ]


def _drawn(bar: Progress) -> Callable[[str, int, int], None]:
    """Return what draws a bar for each feed in turn."""
    drawn = ""

    def draw(feed: str, done: int, size: int) -> None:
        nonlocal drawn
        if feed != drawn:
            drawn = feed
            bar.begin(feed)
        bar.reach(done, size)

    return draw


COMMANDS = (pull_command,)
