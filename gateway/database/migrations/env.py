"""Run by alembic: migrates over the connection that the gateway hands in."""

from alembic import context

from gateway.database.tables import METADATA

context.configure(connection=context.config.attributes["connection"], target_metadata=METADATA)
with context.begin_transaction():
    context.run_migrations()
