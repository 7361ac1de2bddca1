"""Benchmarks: our call beside its peers, how time grows, what the machine allows, and what variety and quotas cost."""

import os

# Before NumPy loads: several BLAS threads would time the machine's idle cores, not the algorithm.
for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
