"""The operator's list of hosts that a vendor's results may be at."""

from collections.abc import Collection, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from contract.replay import BASE, secrets
from videogate import vendors
from videogate.settings import ConfigurationError, vendor_config
from videogate.task.model import Artifact
from videogate.vendorkit.client import Download, VendorClient
from videogate.vendorkit.config import VendorConfig
from videogate.vendorkit.contract import Vendor

every_vendor = pytest.mark.parametrize("kind", vendors.discover().values(), ids=vendors.discover().keys())


def config_of(kind: type[Vendor], result_hosts: str | None) -> VendorConfig:
    """A vendor's settings as the server reads them."""
    set_to = {} if result_hosts is None else {"result_hosts": result_hosts}
    variables = {f"VIDEOGATE_{kind.name}_{name}".upper(): value for name, value in {**secrets(kind), **set_to}.items()}
    found = vendor_config(kind.name, kind.Config, variables)
    assert found is not None
    return found


class Opener:
    """Opens nothing, and keeps the hosts that it was given."""

    def __init__(self) -> None:
        self.hosts: list[Collection[str]] = []

    def open(
        self, url: str, *, headers: Mapping[str, str], home: str, hosts: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Download]:
        self.hosts.append(hosts)
        return None  # type: ignore[return-value]


@every_vendor
@pytest.mark.parametrize(
    ("setting", "hosts"),
    [(None, ()), ("", ()), ("example.com", ("example.com",)), (" A.test, .b.test,", ("a.test", "b.test"))],
)
def test_results_are_opened_under_the_operators_list(
    kind: type[Vendor], setting: str | None, hosts: tuple[str, ...]
) -> None:
    """The list reaches the opener with every result, link and path alike; by default it is empty."""
    opener = Opener()
    nowhere: Any = None
    client = VendorClient(kind.name, BASE, secrets=(), submits=nowhere, polls=nowhere, opener=opener)
    vendor = kind(config_of(kind, setting), client)
    vendor.open(Artifact("https://cdn.test/v.mp4"))
    vendor.open(Artifact("/videos/1/content"))

    assert [tuple(each) for each in opener.hosts] == [hosts] * 2


@every_vendor
@pytest.mark.parametrize("setting", ["https://example.com", "*.example.com", "example.com/v", "a b", "a..test", "a:80"])
def test_what_is_no_host_is_refused_at_the_start(kind: type[Vendor], setting: str) -> None:
    """A list that no link could ever fit does not start a server that would lose paid videos."""
    with pytest.raises(ConfigurationError, match=rf"VIDEOGATE_{kind.name.upper()}_RESULT_HOSTS.*names of hosts"):
        config_of(kind, setting)
