"""The command line: `python -m gateway [serve|demo|doctor|license|usage]`; serve is the default."""

import os

from gateway.process import signals
from gateway.process.standard_streams import open_closed

if __name__ == "__main__":
    # First of all: importing the modules below takes most of the start-up time.
    signals.hold()
    open_closed()
    # Files are for this user alone: the database holds licenses, their digests and their usage.
    os.umask(0o077)
    from gateway.commands import main

    main(prog_name="python -m gateway")
