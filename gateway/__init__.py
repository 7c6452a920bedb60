"""The load-shedding registration gateway: a waiting room in front of a registration store."""

__version__ = "0.1.0"
