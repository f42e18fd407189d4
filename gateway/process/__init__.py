"""The process: what it requires of the machine, its workers, signals, start and end."""
