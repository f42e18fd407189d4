"""The command line: `python -m gateway [serve|demo|doctor|license|usage]`; serve is the default."""

from gateway.commands import main

if __name__ == "__main__":
    main(prog_name="python -m gateway")
