"""What is claimed, and whether it held."""

import difflib
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

# Of a reason that are shown; what comes after them explains nothing more.
MOST_LINES = 60


class Failed(Exception):
    """A claim does not hold."""


@dataclass
class Tally:
    """Counts claims and tells of each."""

    passed: int = 0
    failed: int = 0

    def claim(self, text: str, check: Callable[..., object], *arguments: object) -> None:
        """Calls `check` with the arguments; it raises if the claim is false."""
        started = time.monotonic()
        try:
            check(*arguments)
        except Failed as error:
            self._fail(text, str(error))
        except Exception:
            self._fail(text, traceback.format_exc())
        else:
            self.passed += 1
            seconds = time.monotonic() - started
            if seconds >= 1:
                print(f"ok: {text} ({seconds:.1f} s)", flush=True)

    def note(self, text: str) -> None:
        """Says aloud what was not tried, and why."""
        print(f"note: {text}", flush=True)

    def _fail(self, text: str, reason: str) -> None:
        self.failed += 1
        lines = reason.strip().splitlines()
        more = [f"… and {len(lines) - MOST_LINES} more lines"] if len(lines) > MOST_LINES else []
        print("\n    ".join([f"FAILED: {text}", *lines[:MOST_LINES], *more]), flush=True)


def same(found: object, expected: object) -> None:
    """Fails unless both are equal; texts are shown line by line."""
    if found == expected:
        return
    if isinstance(found, str) and isinstance(expected, str):
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", lineterm="")
        raise Failed("\n".join(lines) or "they differ in their ends of lines")
    raise Failed("\n".join(differences(found, expected)))


def differences(found: object, expected: object, path: str = "") -> list[str]:
    """Where two values of JSON differ."""
    if type(found) is type(expected) and isinstance(found, dict) and isinstance(expected, dict):
        keys = sorted({*found, *expected})
        return [
            line
            for key in keys
            if found.get(key, ABSENT) != expected.get(key, ABSENT) or (key in found) != (key in expected)
            for line in differences(found.get(key, ABSENT), expected.get(key, ABSENT), f"{path}.{key}")
        ]
    if isinstance(found, list) and isinstance(expected, list) and len(found) == len(expected):
        pairs = enumerate(zip(found, expected, strict=True))
        return [line for i, (f, e) in pairs if f != e for line in differences(f, e, f"{path}.{i}")]
    return [f"{path or 'the whole'}: found {found!r}, expected {expected!r}"]


ABSENT = "(nothing)"
