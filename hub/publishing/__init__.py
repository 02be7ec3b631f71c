"""A member's side of publishing: rows become cases, tokens, signed batches, receipts.

``rows`` decides what is to be said about a row, ``outbox`` journals, sends and settles
batches, ``publisher`` joins them for a file, and ``later`` says what is said after
publication: withdrawals, renewals, actions, disputes, erasures.
"""

from hub.publishing.batches import Piece, make_batch, packed
from hub.publishing.outbox import Outbox, RefusedBatchError
from hub.publishing.publisher import Outcome, Published, Publisher

__all__ = [
    "Outbox",
    "Outcome",
    "Piece",
    "Published",
    "Publisher",
    "RefusedBatchError",
    "make_batch",
    "packed",
]
