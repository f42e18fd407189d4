"""The command line: `python -m gateway [serve|demo|doctor|license|usage]`; serve is the default."""

import os
from importlib import import_module

from gateway.process import signals
from gateway.process.imports import without
from gateway.process.standard_streams import open_closed

if __name__ == "__main__":
    # First of all: importing the modules below takes most of the start-up time.
    signals.hold()
    open_closed()
    # Files are for this user alone: the database holds licenses, their digests and their usage.
    os.umask(0o077)
    with without("rich"):
        # Only for tracebacks, which the log never shows.
        import_module("structlog")
    from gateway.commands import main

    main(prog_name="python -m gateway")
