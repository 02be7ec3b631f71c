"""What it looks like: marshmallow schemas, the one source of every JSON form.

Knows neither ``hub`` nor ``keys``.
"""
