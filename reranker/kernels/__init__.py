"""Numba: arrays in, arrays out, nothing else. `jit.py` compiles and caches; every other file is one hot loop."""
