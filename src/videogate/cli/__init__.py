"""The command `videogate`."""

import typer

from videogate.cli import conformance, db, demo, doctor, keys, migrate, serve, simulate, tasks, webhooks

app = typer.Typer(
    name="videogate",
    help="A self-hosted, OpenAI-compatible gateway for async video generation.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("demo")(demo.demo)
app.command("simulate")(simulate.simulate)
app.command("conformance")(conformance.conformance)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.add_typer(db.app, name="db")
app.add_typer(keys.app, name="keys")
app.add_typer(tasks.app, name="tasks")
app.add_typer(webhooks.app, name="webhooks")


def main() -> None:
    """Run the command."""
    app()
