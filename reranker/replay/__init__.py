"""Recorded traffic through two policies or more: who gains, who loses, what it costs, and how sure that is."""
