r"""Turns `$...$` and numbered `$$...$$` into MathML, which browsers show without any script: a hook of mkdocs.

Only pages that say `math: true` in their head are touched. A block that ends in `\tag{7}` is equation 7, and its
address is `#eq-7`.
"""

import re
from typing import Any

from latex2mathml.converter import convert

BLOCK = re.compile(r"^\$\$\s*(?P<tex>.+?)\s*\\tag\{(?P<number>\d+)\}\s*\$\$$", re.DOTALL | re.MULTILINE)
INLINE = re.compile(r"(?<![\\`$])\$(?P<tex>[^$`\n]+?)\$(?!\d)")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Return the page's text with its formulas as MathML."""
    if not page.meta.get("math"):
        return markdown
    return INLINE.sub(lambda found: convert(found["tex"]), BLOCK.sub(_block, markdown))


def _block(found: re.Match[str]) -> str:
    number = found["number"]
    formula = convert(found["tex"], display="block")
    return f'<div class="equation" id="eq-{number}">{formula}<a href="#eq-{number}">({number})</a></div>'
