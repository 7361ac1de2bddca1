"""Representation across requests: who got how much attention, and what that asks of the next slate."""
