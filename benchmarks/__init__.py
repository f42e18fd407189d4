"""Measures the gateway next to a minimal relay: `python -m benchmarks`, see `docs/performance.md`.

A fake upstream and a load generator in C (compiled at run time) share one core, the server under
test has the other. What counts is the CPU time per unit, and its ratio to the relay's in the same
run; wall time comes second, as it depends on whatever else the machine does.
"""
