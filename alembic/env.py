"""Alembic's entry point. The connection comes from `videogate.store.migrate`."""

from alembic import context

from videogate.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
