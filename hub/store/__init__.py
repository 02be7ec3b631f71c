"""The only home of SQL and of what a node keeps on disk.

``base`` states the ports and their promises; every backend keeps all of them.
"""
