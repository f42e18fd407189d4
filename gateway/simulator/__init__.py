"""A server that speaks Gemini's wire: for the demo, the tests and the benchmarks.

Its answers are deterministic and fit the question (`answers`), its strictness is Google's
(`strict`), what each model can do stands in one table (`models`), and what shall go wrong is
scripted (`faults`). It shares no code with the gateway: an error made in both would not be seen.
"""

from gateway.simulator.faults import HTML, Fault
from gateway.simulator.received import Received
from gateway.simulator.server import Simulator, start

__all__ = ["HTML", "Fault", "Received", "Simulator", "start"]
