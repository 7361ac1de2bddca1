"""Whether another tool sees what we see: k6 and our generator in turn, on the same server at the same rate."""
