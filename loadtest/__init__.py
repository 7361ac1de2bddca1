"""Open-loop load on a running server: what its callers wait, up to which rate, and what a request costs it."""
