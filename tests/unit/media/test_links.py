"""Which addresses and links we open for somebody else."""

from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from videogate.media.addresses import is_public
from videogate.media.links import LONGEST, UnsafeLink, check_link, is_at

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "93.184.216.34",
    "172.15.255.255",
    "172.32.0.1",
    "192.167.255.255",
    "100.63.255.255",
    "100.128.0.1",
    "169.253.0.1",
    "223.255.255.255",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
    "::ffff:8.8.8.8",
    "64:ff9b::808:808",
    "2002:808:808::1",
    "::8.8.8.8",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.255",
    "169.254.169.254",
    "169.254.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "100::1",
    "2001:db8::1",
    "3fff::1",
    # Services of a cloud, behind numbers that look public.
    "168.63.129.16",
    "::ffff:168.63.129.16",
    "192.0.0.192",
    # A zone: whatever the number, it is reached by a network card of this machine.
    "2606:4700:4700::1111%eth0",
    "8.8.8.8%eth0",
    # IPv4 inside: mapped, compatible, NAT64, 6to4, Teredo.
    "::ffff:127.0.0.1",
    "::ffff:7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "0:0:0:0:0:ffff:a9fe:a9fe",
    "::127.0.0.1",
    "::7f00:1",
    "::a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b::10.0.0.1",
    "64:ff9b:1::1",
    "64:ff9b:1:a9fe:a9:fe00:808:808",  # a network's own NAT64: where the IPv4 address stands is its own affair
    "64:ff9b:1::808:808",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::",
    "2002:a00:1::1",
    "2001:0:4136:e378:8000:63bf:80ff:fffe",  # Teredo; the inner address 127.0.0.1 is stored inverted
    "2001:0:4136:e378:8000:63bf:5601:5601",
    # No addresses at all.
    "",
    "localhost",
    "example.com",
    "127.1",
    "0177.0.0.1",
    "0x7f.0.0.1",
    "2130706433",
    "127.0.0.1 ",
    "127.0.0.1/8",
    "[::1]",
    "١٢٧.0.0.1",
    "8.8.8.8\n",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """Addresses of the public internet may be opened, in whichever form."""
    assert is_public(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses(address: str) -> None:
    """Loopback, private, shared, link-local, documentation, multicast and reserved ones may not, however wrapped."""
    assert not is_public(address)


@given(st.text(max_size=30) | st.ip_addresses().map(str))
def test_any_text_is_judged(text: str) -> None:
    """No text breaks the judge, and what it lets pass, it lets pass in its IPv4-mapped form too."""
    assert is_public(text) in {True, False}
    if "." in text and is_public(text):
        assert is_public(f"::ffff:{text}")


HOSTILE = [
    "http://127.0.0.1/",
    "http://127.0.0.1:80/",
    "https://127.0.0.1/",
    "http://127.1/",
    "http://127.0.1/",
    "http://2130706433/",
    "http://017700000001/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://0.0.0.0/",
    "http://127.0.0.1./",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://100.64.0.1/",
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.169.254./latest/",
    "http://2852039166/",
    "http://[::]/",
    "http://[::1]/",
    "http://[0:0:0:0:0:0:0:1]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::7f00:1]/",
    "http://[2002:7f00:1::1]/",
    "http://[fe80::1]/",
    "http://[fe80::1%25eth0]/",
    "http://[::1%25lo]/",
    "http://[fec0::1]/",
    "http://[fd00:ec2::254]/",
    "http://[ff02::1]/",
    "http://[2606:4700:4700::1111%25eth0]/",
    "http://[2606:4700:4700::1111]example.com/",
    "http://example.com[2606:4700:4700::1111]/",
    "http://[v1.example]/",
    "http://example.com%00.test/",
    "http://%65xample.com/",
    "http://exa*mple.com/",
    "http://[::1",
    "http://::1/",
    "http://user@example.com/",
    "http://user:pass@example.com/",
    "http://@example.com/",
    "http://:@example.com/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1@example.com/",
    "http://example.com:80@127.0.0.1/",
    "http://example.com\\@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http://example.com\\.evil.test/",
    "http:\\\\127.0.0.1\\",
    "http://example.com%2f@127.0.0.1/",
    "http://exam ple.com/",
    "http://example.com\t/",
    "http://example.com\r\nHost: localhost/",
    "http://example.com/\0",
    "http://example.com/\x7f",
    "\thttp://example.com/",
    " http://example.com/",
    "http://exämple.com/",
    "http://①②⑦.⓪.⓪.①/",
    "http://127。0。0。1/",
    "http://example.com／@127.0.0.1/",
    "http://example.com/\u202e",
    "http://example.com:22/",
    "http://example.com:6379/",
    "http://example.com:8080/",
    "http://example.com:0/",
    "http://example.com:65536/",
    "http://example.com:-80/",
    "http://example.com:80:80/",
    "http://example.com:eighty/",
    "http:///etc/passwd",
    "http://",
    "http:",
    "http:example.com",
    "http:/example.com/",
    "//example.com/",
    "example.com/cat.png",
    "/etc/passwd",
    "",
    "file:///etc/passwd",
    "ftp://example.com/",
    "gopher://127.0.0.1:6379/_INFO",
    "dict://127.0.0.1:11211/",
    "data:image/png;base64,AA==",
    "javascript:alert(1)",
    "jar:http://example.com!/",
    "unix:///var/run/docker.sock",
    "http+unix://%2Fvar%2Frun%2Fdocker.sock/",
    "http://?",
    "http://#",
    "http://:80/",
    "http://example.com/<script>",
    'http://example.com/"',
    "http://example.com/{a}",
    "http://example.com/a|b",
    "http://example.com/a`b",
    "http://example.com/" + "a" * LONGEST,
]


@pytest.mark.parametrize("url", HOSTILE, ids=lambda url: repr(url[:60]))
def test_hostile_links_are_refused_by_their_text(url: str) -> None:
    """Private literals, foreign schemes and ports, user names and whatever two parsers may read differently."""
    with pytest.raises(UnsafeLink) as caught:
        check_link(url)

    assert caught.value.code == "unsafe_url"


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("http://example.com/" + "a" * LONGEST, "is longer than 2048 characters"),
        ("http://example.com/a b", "holds characters that a URL has to escape"),
        ("http://example.com:65536/", "is not a URL"),
        ("ftp://example.com/", "must begin with http:// or https://"),
        ("http://a:b@example.com/", "must not hold a user name or password"),
        ("http://example%2ecom/", "must name its host in letters, digits, dots and dashes"),
        ("http://example.com:22/", "must use port 80 or 443"),
        ("http://10.0.0.1/", "leads to an address that is not public"),
    ],
    ids=lambda text: text[:30],
)
def test_a_refusal_says_what_is_wrong(url: str, problem: str) -> None:
    """Each rule has words of its own, which its caller can act on."""
    with pytest.raises(UnsafeLink) as caught:
        check_link(url)

    assert caught.value.message == f"The link {problem}."


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "https://example.com/",
        "https://example.com:443/a/b.mp4?x=1&y=%20z#f",
        "HTTPS://EXAMPLE.COM/",
        "http://example.com:80/",
        "https://8.8.8.8/x.mp4",
        "https://[2606:4700:4700::1111]/x",
        "https://xn--exmple-cua.com/",
        "https://bucket.oss-cn-beijing.aliyuncs.com/v.mp4?Expires=1&OSSAccessKeyId=a&Signature=b%2Bc%3D",
        "https://example.com/~user/a,b;c=(d)!$'*+@:",
    ],
)
def test_ordinary_links_pass(url: str) -> None:
    """What vendors and callers really send is let through."""
    check_link(url)


def test_private_links_pass_where_they_are_allowed() -> None:
    """An operator may allow private addresses and other ports, but never a URL that hides what it is."""
    check_link("http://127.0.0.1:9000/v.mp4", allow_private=True)
    for url in ("file:///etc/passwd", "http://a@127.0.0.1/", "http://a\\@b/"):
        with pytest.raises(UnsafeLink):
            check_link(url, allow_private=True)


_WORDS = r"""
    home.test a.test 127.0.0.1 [::1] [2606:4700:4700:0:0::1111] A x 80 8080 443 0x7f %31 http:// https://
    @ : / // \ # ? & ; . .. [ ] % %2f %40 %25 - _ + * !
"""
PIECES = [*_WORDS.split(), " ", "\t", "\n", "\r", "\0", "\u200b", "\u3002", "\uff0f", "ⓐ"]


@given(st.sampled_from(["http://", "HTTP://", "https://"]), st.lists(st.sampled_from(PIECES), max_size=8).map("".join))
def test_the_client_reads_a_link_as_the_check_did(scheme: str, tail: str) -> None:
    """What two readers could take for different hosts is refused, and never taken for the vendor's own origin."""
    url = scheme + tail
    home = is_at("http://home.test:80", url)
    try:
        check_link(url, allow_private=True)
    except UnsafeLink:
        if not home:
            return
    parts, client = urlsplit(url), URL(url)

    assert client.scheme == parts.scheme
    assert ip_or_name(client.raw_host) == ip_or_name(parts.hostname)
    assert client.port == (parts.port or client.port)
    assert (client.raw_user, client.raw_password) == (None, None)
    assert not home or (client.scheme, client.raw_host, client.port) == ("http", "home.test", 80)


def ip_or_name(host: str | None) -> str:
    """A host in one spelling."""
    return str(ip_address(host)) if host and ":" in host else host or ""


@given(st.text(max_size=40).map(lambda tail: f"http://{tail}"))
def test_no_text_breaks_the_check(url: str) -> None:
    """Any text is let through or refused."""
    try:
        check_link(url)
    except UnsafeLink:
        return
    assert url.isascii()
