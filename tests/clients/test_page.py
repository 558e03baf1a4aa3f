"""docs/clients.md is current, and the tables behind it speak of the same things."""

from clients.judges import JUDGES
from clients.page import PAGE, page
from clients.roster import CLIENTS
from clients.steps import STEPS


def test_the_page_is_what_the_tables_say() -> None:
    """Whoever changes a client or a step runs `make docs`."""
    assert PAGE.read_text("utf-8") == page(), "docs/clients.md is not current: run make docs"


def test_every_step_is_judged_and_every_reason_is_of_a_step() -> None:
    """What the page says is checked is checked, and nobody is excused from a step that does not exist."""
    assert list(JUDGES) == list(STEPS)
    for client in CLIENTS.values():
        assert client.cannot.keys() <= STEPS.keys()
