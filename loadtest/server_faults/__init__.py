"""What becomes of answers while workers are killed, replaced, poisoned and starved, and what else befalls a server.

    python -m loadtest.server_faults [--rate 100] [--seconds 6] [--deadline-ms 250] [FAULT …]

For each fault a real server of its own, `python server.py --workers 2`, under steady load on loopback. Each answer is
compared with what the engine makes of that request in this process; reports of what was seen and items that are put
meanwhile, each where it was acknowledged, have to be there afterwards.
"""
