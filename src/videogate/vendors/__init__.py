"""Only vendors, one file each: this folder's listing is the list of what is supported."""

from importlib import import_module
from inspect import isabstract, isclass
from pkgutil import iter_modules

from videogate.vendorkit.contract import Vendor


def discover() -> dict[str, type[Vendor]]:
    """Every vendor by name. Each module here holds exactly one, of the module's own name."""
    found = {}
    for module in iter_modules(__path__):
        names = vars(import_module(f"{__name__}.{module.name}")).values()
        (kind,) = (each for each in names if isclass(each) and issubclass(each, Vendor) and not isabstract(each))
        found[module.name] = kind
    return found
