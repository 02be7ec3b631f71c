"""An officer's office: what the commands that change the registry share.

A command says which entries it wants. The office reads the newest registry, tries the
entries on it, signs with the officers' keys of the folder, and sends the batch when
they suffice; else it writes the proposal for the other officers.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from hub.cli.common import emit, hub_of
from hub.cli.folders import remember_hub
from hub.client import Client
from hub.directory import Directory
from hub.errors import (
    ConflictError,
    HubError,
    MalformedError,
    RefusedError,
    UnavailableError,
)
from hub.model import REGISTRY, origin_of
from hub.officers import (
    Proposal,
    Verdict,
    body_of,
    examine,
    parse_proposal,
    propose,
    render_proposal,
    sign,
)
from hub.signings import Signings
from hub.tlog.batch import parse_batch_note
from hub.tlog.checkpoint import EMPTY, Head, open_checkpoint, peek_checkpoint
from hub.verifier import RegistryReplay
from hub.wiring import Hub
from keys.ed25519 import Signer
from keys.encoding import to_base64
from keys.errors import KeysError
from keys.keyfile import read_key
from keys.note import NoteSigner, parse_vkey

__all__ = [
    "Office",
    "office_command",
    "office_command_with_url",
    "officer_name",
    "waiting",
]

Lines = Callable[[], Sequence[bytes]]


@dataclass
class Office:
    """One command of an officer.

    Args:
        context: Of the command.
        hub: The folder's hub.
        out: Where a proposal is written that needs further signatures.
        url: The hub to ask, if it is not the one that the folder knows.
        although: Sign although another proposal for the same head was signed.
        instead: The note of the proposal that is made anew.
    """

    context: click.Context
    hub: Hub
    out: Path = Path("proposal.json")
    url: str = ""
    although: bool = False
    instead: str = ""

    # -- what is known -------------------------------------------------------------

    def replay(self) -> RegistryReplay:
        """Return the registry of this folder, replayed."""
        with self.hub.store.read() as tx:
            return self.hub.registry.current(tx)

    def directory(self) -> Directory:
        """Return the directory of this folder."""
        return self.replay().directory

    def signings(self) -> Signings:
        """Return what this folder signed."""
        return Signings(self.hub.folder / "private" / "signed.jsonl")

    def is_home(self) -> bool:
        """Tell whether this folder's own database is what the registry grows in."""
        if self.hub.role != "node":
            return False
        home = self.directory().home(REGISTRY)
        if home is None:
            return not self.hub.config["client"]["hubs"]
        return home.node == self.hub.name

    def urls(self) -> list[str]:
        """Return the hubs that may have the newest registry, the likeliest first."""
        directory = self.directory()
        home = directory.home(REGISTRY)
        found = [self.url, *self.hub.config["client"]["hubs"]]
        if home:
            found.append(directory.nodes[home.node])
        # When the home is lost, another node may have all of it.
        found += directory.nodes.values()
        return list(dict.fromkeys(u.rstrip("/") for u in found if u))

    def refresh(self) -> None:
        """Read the newest registry.

        Raises:
            UnavailableError: No hub answers.
            HubError: What it shows does not lead on from this folder's registry.
        """
        if self.is_home():
            return
        problem: HubError | None = None
        for url in self.urls():
            try:
                found = self.hub.pull_registry(url)
            except UnavailableError as error:
                problem = problem or error
                continue
            if REGISTRY in found.problems:
                raise found.problems[REGISTRY]
            if self.directory().size:
                remember_hub(self.hub.folder, url)
            return
        if problem is not None:
            raise UnavailableError(
                str(problem),
                code=problem.code,
                advice="Try again, or name another node with --url.",
            )

    def head_of(self, feed: str, node: str = "") -> Head:
        """Return the present head of a feed, as its home or another node shows it.

        Raises:
            UnavailableError: The node does not answer.
        """
        if feed == REGISTRY:
            return self.replay().head
        directory = self.directory()
        home = directory.home(feed)
        node = node or (home.node if home else "")
        if node == self.hub.name and self.hub.role == "node":
            with self.hub.store.read() as tx:
                head = tx.heads.get(feed)
            return Head(head.size, head.root) if head else EMPTY
        client = self.hub.new_client(directory.nodes[node])
        try:
            return shown_head(client, directory, feed)
        finally:
            client.close()

    # -- signing -------------------------------------------------------------------

    def signers(self) -> list[NoteSigner]:
        """Return the officers' keys that this folder holds."""
        phrase = os.environ.get("HUB_PASSPHRASE")
        known = {v.public: v.name for v in self.directory().officer_vkeys()}
        found = []
        for path in sorted((self.hub.folder / "private").glob("officer*.key")):
            signer = Signer(read_key(path, kind="ed25519", passphrase=phrase))
            if signer.public in known:
                found.append(NoteSigner(known[signer.public], signer))
        return found

    def sign(self, proposal: Proposal, signers: Sequence[NoteSigner]) -> Verdict:
        """Add signatures to a proposal that leads on from the present head.

        Raises:
            RefusedError: This folder signed another proposal for the same head.
            ConflictError: The proposal is stale.
            MalformedError: The registry would refuse it.
        """
        verdict = examine(proposal, self.replay())
        verdict.require()
        others = self.signings().others(verdict.note)
        if self.instead:
            # Whoever asks for it anew knows of the old one.
            old = to_base64(parse_batch_note(self.instead).batch_id)
            others = [o for o in others if o["batch"] != old]
        if signers and others and not self.although:
            raise RefusedError(
                f"this folder signed another proposal for the same head at "
                f"{others[0]['at']}",
                code="signed-another",
                advice="Two accepted ones would convict you: finish that one, or see "
                "that it is dropped and add --although-signed.",
            )
        if signers:
            now = self.hub.clock.now()
            self.signings().add(verdict.note, proposal["entries"], now)
        sign(proposal, signers)
        return examine(proposal, self.replay())

    def act(self, lines: Lines, done: str) -> None:
        """Propose entries; sign and submit at once when this folder's keys suffice."""
        for chance in (2, 1, 0):
            self.refresh()
            self._check_founded()
            replay = self.replay()
            made = list(lines())
            proposal = propose(replay.directory.alliance, replay.head, made)
            # A signature whose proposal cannot be written would be remembered in vain.
            self.check_out(proposal)
            verdict = self.sign(proposal, self.signers())
            if not verdict.complete:
                self._pass_on(proposal, verdict)
                return
            try:
                answer = self.submit(proposal, verdict)
            except ConflictError:
                # Somebody was faster, so the same is proposed on the newer head.
                if not chance:
                    raise
                continue
            text = [done, *waiting(answer)]
            emit(self.context, {"done": done, "size": answer["size"]}, text)
            return

    def _check_founded(self) -> None:
        if self.directory().size == 0:
            raise RefusedError(
                "this folder has not seen the alliance's registry yet",
                code="not-founded",
                advice="Name a node with --url; or found the alliance: hub alliance "
                "create.",
            )

    def _pass_on(self, proposal: Proposal, verdict: Verdict) -> None:
        self.write(proposal)
        name, signed = self.out.name, len(verdict.signed_by)
        text = [
            f"Wrote {self.out} with {signed} of {verdict.threshold} signatures.",
            "Pass it on. Each officer reads it and signs it:",
            f"  hub registry show {name}",
            f"  hub registry sign {name}",
        ]
        body = {
            "proposal": str(self.out),
            "signatures": len(verdict.signed_by),
            "threshold": verdict.threshold,
        }
        emit(self.context, body, text)

    def write(self, proposal: Proposal) -> None:
        """Write a proposal, and never over another one that may still be signed."""
        self.check_out(proposal)
        fresh = self.out.with_name(self.out.name + ".new")
        fresh.write_text(render_proposal(proposal))
        # If we crash here, then the old file stands; the signature is remembered.
        fresh.replace(self.out)

    def check_out(self, proposal: Proposal) -> None:
        """Refuse to write over another proposal that may still be signed.

        Raises:
            RefusedError: Such a one is there.
        """
        if not self.out.exists():
            return
        try:
            old = parse_proposal(self.out.read_text())
            # Who signed it does not matter; officers may have changed since.
            waiting = examine({**old, "signatures": []}, self.replay()).fresh
        except (HubError, OSError, UnicodeDecodeError):
            old, waiting = {}, True
        if waiting and old.get("text") not in (proposal["text"], self.instead):
            raise RefusedError(
                f"{self.out} is there already and is not finished",
                code="file-exists",
                advice="Finish it, remove it, or name another file with --out.",
            )

    def submit(self, proposal: Proposal, verdict: Verdict) -> dict[str, Any]:
        """Send a complete proposal to the registry's home; read the registry back.

        Raises:
            HubError: It was refused, or the home cannot be reached; then the proposal
                is kept in ``out``.
        """
        after = verdict.require()
        home = after.home(REGISTRY)
        url = self.url or (after.nodes[home.node] if home else "")
        if not url:
            raise MalformedError("the registry would have no home", code="no-home")
        client = self.hub.new_client(url)
        try:
            answer = client.publish(REGISTRY, body_of(proposal))
        except UnavailableError as error:
            # It may have arrived: only the same bytes may be sent again.
            self.write(proposal)
            raise UnavailableError(
                str(error),
                code=error.code,
                advice=f"The signed proposal is in {self.out}; send it with hub "
                f"registry submit {self.out}.",
            ) from None
        except HubError:
            self.signings().drop(verdict.note)
            raise
        finally:
            client.close()
        if not self.is_home():
            # It is accepted; that this folder does not see it yet changes nothing.
            with suppress(HubError):
                self.hub.pull_registry(url)
            remember_hub(self.hub.folder, url)
        return answer


def _with_office(*names: str) -> Callable[..., Any]:
    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--out", default="proposal.json", show_default=True, type=Path)
        @click.option(*names, default="", help="The hub to ask, the first time.")
        @click.option(
            "--although-signed",
            "although",
            is_flag=True,
            help="Sign although this folder signed another for the same head.",
        )
        @functools.wraps(command)
        def bundled(out: Path, ask: str, although: bool, **more: Any) -> Any:
            context = click.get_current_context()
            office = Office(context, hub_of(context), out, ask.rstrip("/"), although)
            return command(office, **more)

        return bundled

    return decorate


office_command = _with_office("--url", "--hub", "ask")
"""Gives a command the officers' options, bundled as its first argument."""

office_command_with_url = _with_office("--hub", "ask")
"""The same for a command with a ``--url`` of its own."""


def shown_head(client: Client, directory: Directory, feed: str) -> Head:
    """Return the head of a feed that a node shows, signed by a home of the feed.

    Raises:
        UnavailableError: It does not answer.
        MalformedError: The checkpoint is not signed as the registry says.
    """
    try:
        raw = client.get_bytes(f"/v1/feeds/{feed}/checkpoint")
    except RefusedError as error:
        if error.code != "unknown-feed":
            raise
        return EMPTY
    origin = origin_of(directory.alliance, feed)
    try:
        public = directory.log_public(feed, peek_checkpoint(raw).size)
        return open_checkpoint(raw, origin, public or b"").head
    except KeysError as error:
        raise MalformedError(
            f"{client.url} shows no checkpoint of {feed} by its home: {error}"
        ) from None


def waiting(answer: dict[str, Any]) -> list[str]:
    """Return what an officer is told when a batch still lacks its quorum."""
    needed = answer.get("quorum", 0)
    if type(needed) is not int or len(answer["cosignatures"]) >= needed:
        return []
    return [
        f"Others see it once {needed} other nodes cosigned it; until then the registry",
        "looks as before.",
    ]


def officer_name(vkey: str) -> str:
    """Return the short name of an officer."""
    return parse_vkey(vkey).name.rpartition("/")[2]
