"""Who said it: encodings, notes, signatures, tokens, key files.

The only home of cryptographic libraries; knows neither ``hub`` nor ``schemas``.
"""
