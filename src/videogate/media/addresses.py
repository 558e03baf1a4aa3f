"""Which addresses may be opened for somebody else: only those of the public internet."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# Forms that carry an IPv4 address inside, which is then the one to judge. `is_global` alone calls several of them
# public: NAT64 of loopback and 6to4 of loopback among them (seen on Python 3.11).
_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")
_LOCAL_NAT64 = IPv6Network("64:ff9b:1::/48")  # a network's own: where the IPv4 address stands is its own affair

# Not reachable from everywhere as one and the same, though `is_global` says so (seen on Python 3.11).
_INSIDE = (
    IPv4Network("192.0.0.0/24"),  # set aside for protocols; a cloud keeps its metadata there
    IPv4Network("168.63.129.16/32"),  # Azure's own services, in each of its customers' networks
    IPv6Network("3fff::/20"),  # documentation, since 2024
)


def is_public(text: str) -> bool:
    """Whether an IP address, in any form, belongs to the public internet. Text that is none does not."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if "%" in text:  # a zone is a network card of this machine
        return False
    inner = _inner(address) if isinstance(address, IPv6Address) else None
    return _is_public(address) if inner is None else _is_public(inner)


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address.sixtofour is not None:
        return address.sixtofour
    if address.teredo is not None:
        return address.teredo[1]
    if address in _NAT64 or address in _COMPATIBLE:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    local = isinstance(address, IPv6Address) and (address.is_site_local or address in _LOCAL_NAT64)
    inside = any(address in network for network in _INSIDE)
    return address.is_global and not (address.is_multicast or address.is_reserved or local or inside)
