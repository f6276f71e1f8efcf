"""Addresses of what is not a file on this machine (``s3://…``, ``postgresql://…``), shown without their secrets."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, quote, urlencode

SHOWN = ("table", "query", "versionId", "snapshot")
"""Parameters of an address that are shown; signatures and tokens are in others."""

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_ADDRESS = re.compile(r"(?<![A-Za-z0-9+.-])([A-Za-z][A-Za-z0-9+.-]{1,40})://([^\s'\"<>`]+)")
_PARAMETER = re.compile(
    r"(?i)\b(X-Amz-[A-Za-z-]+|AWSAccessKeyId|Signature|X-Goog-[A-Za-z-]+|GoogleAccessId|sig|sslpassword|passw(?:or)?d|pwd|"
    r"(?:access_?|secret_?|account_?|api_?)key|(?:access_|session_)?token|secret)(\s*=\s*)('[^']*'|\"[^\"]*\"|[^\s&'\",;)]+)"
)


def is_address(text: str) -> bool:
    """True for text that starts with ``scheme://``.

    >>> is_address("s3://bucket/old.parquet"), is_address("old.parquet"), is_address("C:/old.parquet")
    (True, False, False)
    """
    return _SCHEME.match(text) is not None


def without_secrets(text: str) -> str:
    """Text with passwords, tokens and signatures removed: from every address in it, and from ``password=…`` and its like.

    An address loses its password, the user too where the scheme is that of the web, and every parameter that is not in `SHOWN`.

    >>> without_secrets("https://ann:pw@host/new.parquet?X-Amz-Signature=abc: 403")
    'https://host/new.parquet: 403'
    >>> without_secrets("postgresql://ann:p@ss%2Fword@host/db?table=pred_v1&sslpassword=x")
    'postgresql://ann@host/db?table=pred_v1'
    >>> without_secrets("abfs://container@account.dfs.core.windows.net/new.parquet")
    'abfs://container@account.dfs.core.windows.net/new.parquet'
    """
    return _PARAMETER.sub(r"\1\2…", _ADDRESS.sub(_cleaned, text))


def _cleaned(found: re.Match[str]) -> str:
    scheme, rest = found[1], found[2]
    end = re.search(r"[).,:;]*$", rest)
    closing = end[0] if end and re.search(r"[?#]", rest) else ""  # the end of a sentence is not part of a parameter
    rest = rest.removesuffix(closing)
    path, mark, query = rest.partition("?")
    web, database = scheme.lower() in ("http", "https"), scheme.lower().startswith("postgres")
    authority = path.partition("/")[0]
    if database or ("@" not in authority and re.match(r"[^/:]*:(?!\d*(/|$))", path)):
        authority = path  # a password with a slash, which should be %2F
    user, at, _ = authority.rpartition("@")
    path = path[len(user) + len(at) :]
    user = "" if web else user.partition(":")[0]
    path, query = (path.partition("#")[0], query.partition("#")[0]) if web else (path, query)
    if mark and (web or "=" in query):
        kept = [(name, value) for name, value in parse_qsl(query, keep_blank_values=True) if name in SHOWN]
        query = urlencode(kept, quote_via=quote, safe=" *(),'\".")
        mark = "?" if kept else ""
    return f"{scheme}://{user}{'@' if user else ''}{path}{mark}{query}{closing}"


@dataclass(frozen=True)
class Address:
    """Predictions that are not in a file on this machine.

    Attributes:
        address: as the user wrote it; it may hold secrets, so messages and results show ``str()``.
    """

    address: str = field(repr=False)

    def __str__(self) -> str:
        return without_secrets(self.address)
