"""A server that speaks Gemini's protocol: for the demo, the tests and the benchmarks.

Its answers are deterministic and fit the question (`answers`), its strictness is Google's
(`strict`), one table lists what each model can do (`models`), and failures are scripted (`faults`).
It shares no code with the gateway: an error made in both would go unnoticed.
"""

from gateway.simulator.faults import HTML, Fault
from gateway.simulator.received import Received
from gateway.simulator.server import Simulator, start

__all__ = ["HTML", "Fault", "Received", "Simulator", "start"]
