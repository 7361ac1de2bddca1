"""What is asked: the real server as a process of its own, an echo beside it, and what either uses of the machine."""
