"""The models on offer, aliases included."""

from collections.abc import Iterable, Mapping
from typing import Any

from videogate.vendorkit.contract import Vendor
from videogate.wire import models


class Catalogue:
    """What GET /v1/models shows: every model of the vendors that are on, and every alias that leads to one."""

    def __init__(self, vendors: Iterable[Vendor], aliases: Mapping[str, str], created: int) -> None:
        facts = {name: (vendor.name, model) for vendor in vendors for name, model in vendor.models.items()}
        for alias, name in aliases.items():
            if name in facts:
                facts[alias] = facts[name]
        self._entries = {name: models.model(name, vendor, model, created) for name, (vendor, model) in facts.items()}

    def all(self) -> dict[str, Any]:
        """The list."""
        return models.model_list(list(self._entries.values()))

    def get(self, name: str) -> dict[str, Any] | None:
        """One model."""
        return self._entries.get(name)
