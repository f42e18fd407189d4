"""The command line: `python -m gateway [serve|demo|doctor|license|usage]`; serve is the default."""

from gateway import signals

if __name__ == "__main__":
    # First of all: importing the modules below takes most of the start-up time.
    signals.hold()
    from gateway.commands import main

    main(prog_name="python -m gateway")
