"""The command line: `python -m gateway [serve|demo|doctor|license|usage]`; serve is the default."""

from gateway import signals

if __name__ == "__main__":
    # Before all else: what is imported now takes most of a start.
    signals.hold()
    from gateway.commands import main

    main(prog_name="python -m gateway")
