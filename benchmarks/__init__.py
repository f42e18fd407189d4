"""Measure the gateway beside a minimal relay: `python -m benchmarks`, read `docs/performance.md`.

A fake upstream and a load generator in C (compiled at run time) share one core, the server under
test has the other. What counts is the CPU time a unit costs, and its ratio to the relay's in the
same run; wall time comes second, for it moves with whatever else the machine does.
"""
