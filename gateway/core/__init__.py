"""Decisions as functions of values: no IO, no clock, no randomness, no asyncio."""
