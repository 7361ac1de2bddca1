"""What is asked: scenarios in TOML, and the bytes of real requests that they stand for."""
