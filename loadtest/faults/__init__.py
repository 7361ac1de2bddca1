"""What becomes of answers while the store is killed, paused, emptied, filled, restarted, and lies.

    python -m loadtest.faults [--rate 50] [--seconds 3] [--deadline-ms 250] [--budget-ms 50] [FAULT …]

A real server and a real Valkey of its own; every use of the store is on (`uses.py`), and requests come steadily.
"""
