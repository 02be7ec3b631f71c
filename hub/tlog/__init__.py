"""The log core: Merkle trees, checkpoints, batches, and what may follow what. Pure.

Nothing here reads a file, a socket or a clock.
"""
