"""The process: what it requires of the machine, its memory, threads, signals, loop and workers.

Nothing here knows of requests. `gateway.service` is the life of one process; `supervisor` is the
parent of several, and `balancing` shares their connections out.
"""
