"""The alembic environment that travels with the package."""
