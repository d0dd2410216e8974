"""Reading replies."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from benchmarks.evaluation.questions import Item, Verdict, judge


def _item(kind: Literal["letter", "number", "yes_no"], answer: str) -> Item:
    return Item("1", Path("a.mp4"), None, "?", answer, kind, 4, "task")


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("B", "B"),
        (" b \n", "B"),
        ("B.", "B"),
        ("(B) A red ball", "B"),
        ("B. A red ball", "B"),
        ("B\nbecause it is red", "B"),
        ("The best answer is: B", "B"),
        ("I would choose option (b)", "B"),
        ("It must be (B)", "B"),
        ("The correct answer is **B**.", "B"),
        ("option b.", "B"),
        ("A man is walking", None),
        ("The answer is a red ball.", None),
        ("The best choice is a bell", None),
        ("The answer is E", None),
        ("E", None),
        ("I cannot tell.", None),
        ("", None),
    ],
)
def test_letters(reply: str, said: str | None) -> None:
    assert judge(_item("letter", "B"), reply) == Verdict(said, said == "B")


@pytest.mark.parametrize(
    ("reply", "said"), [("3", "3"), ("They did it 03 times.", "3"), ("3 or 4", None), ("no", None)]
)
def test_numbers(reply: str, said: str | None) -> None:
    assert judge(_item("number", "3"), reply) == Verdict(said, said == "3")


@pytest.mark.parametrize(
    ("reply", "said"),
    [("Yes", "Yes"), ("“No”", "No"), ("y", "Yes"), ("no, not yet", "No"), ("Nothing", None), ("", None)],
)
def test_yes_and_no(reply: str, said: str | None) -> None:
    assert judge(_item("yes_no", "Yes"), reply) == Verdict(said, said == "Yes")
