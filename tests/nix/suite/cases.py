"""Files of cases: what is wrong, a text, and the exact message."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Case:
    """A text that must be refused, and with which words."""

    name: str
    text: str
    message: str


def read(file: Path) -> list[Case]:
    """The cases of a file. A tab or a carriage return is written as `\\t` or `\\r`, so that editors leave it alone."""
    cases = []
    for part in re.split(r"^== ", file.read_text(), flags=re.MULTILINE)[1:]:
        name, _, rest = part.partition("\n")
        text, arrow, message = rest.partition("\n-> ")
        if not arrow:
            raise SystemExit(f"{file}: the case `{name}` has no line that begins with `-> `")
        for escape, character in (("\\t", "\t"), ("\\r", "\r")):
            text = text.replace(escape, character)
        cases.append(Case(name, text + "\n", message.strip()))
    return cases
