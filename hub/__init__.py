"""Alliance Hub: signed, hashed indicators of counterfeit sellers, in verifiable feeds.

Imports inside this package only go down; ``setup.cfg`` lists the layers and a test
checks them.
"""
