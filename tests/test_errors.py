"""What went wrong, in one line, whatever it was."""

from __future__ import annotations

import json

import pytest

from ganforge.errors import GANForgeError, UsageError, reason

pytestmark = pytest.mark.quick

KERAS = "Exception encountered when calling Dense.call().\n\n\x1b[1mshapes (2, 3), (4, 5) differ\x1b[0m\n\nx"


@pytest.mark.parametrize(
    ("error", "with_kind", "alone"),
    [
        (ValueError("  first\nsecond"), "ValueError: first", "first"),
        (ValueError("\n\n  late\n"), "ValueError: late", "late"),
        (ValueError(), "ValueError", "ValueError"),
        (ValueError(" \n "), "ValueError", "ValueError"),
        (GANForgeError("a line"), "a line", "a line"),
        (UsageError(""), "UsageError", "UsageError"),
        (
            FileNotFoundError(2, "No such file or directory", "x.json"),
            "FileNotFoundError: [Errno 2] No such file or directory: 'x.json'",
            "No such file or directory",
        ),
        (OSError("no number"), "OSError: no number", "no number"),
        (KeyError("name"), "KeyError: 'name'", "'name'"),
        (
            ValueError(KERAS),
            "ValueError: Exception encountered when calling Dense.call(): shapes (2, 3), (4, 5) differ",
            "Exception encountered when calling Dense.call(): shapes (2, 3), (4, 5) differ",
        ),
        (ValueError("\x1b]0;title\x07 \udcff"), r"ValueError: \x1b]0;title\x07 \udcff", r"\x1b]0;title\x07 \udcff"),
    ],
)
def test_one_line_says_it(error, with_kind, alone):
    assert reason(error) == with_kind
    assert reason(error, kind=False) == alone


def test_what_json_says_of_a_damaged_file_is_one_line():
    with pytest.raises(ValueError) as caught:
        json.loads("{")
    assert reason(caught.value, kind=False).startswith("Expecting property name")


def test_no_message_holds_what_a_terminal_obeys():
    assert str(GANForgeError("a\x1b[2J\nb\u202e\udc9b 猫")) == "a\\x1b[2J\\nb\\u202e\\udc9b 猫"
