"""What callers may send, and what nobody would: mutated requests through the codec and over the wire."""
