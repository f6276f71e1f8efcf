"""Text that Markdown shows as it stands."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([\\`*_\[\]<>&|~$@#])")


def plain_markdown(text: str) -> str:
    """The text with everything escaped that GitHub would read as markup, a table's rule or a mention.

    >>> plain_markdown("a|b <script> *x*")
    'a\\\\|b &lt;script&gt; \\\\*x\\\\*'
    """
    named = {"<": "&lt;", ">": "&gt;", "&": "&amp;", "@": "&#64;"}
    return _MARKS.sub(lambda m: named.get(m[1], "\\" + m[1]), text.replace("\r", " ").replace("\n", " "))
