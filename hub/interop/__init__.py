"""Rows of somebody's file to identifiers and context. Pure: bytes in, rows out."""
