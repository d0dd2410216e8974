"""The policy that docs/researchers.md shows does what the page says."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pruner import LiveModel, RawWindow
from pruner.encoder import StreamState, WindowEncoder
from pruner.oneshot import reply

PAGE = Path(__file__).parents[3] / "docs" / "researchers.md"


def test_the_example_keeps_every_other_token_in_every_layer(load_tiny: Callable[..., LiveModel]) -> None:
    example = re.search(r"```python\n(from collections.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert example
    names: dict[str, Any] = {}
    exec(compile(example[1], PAGE.name, "exec"), names)
    model = load_tiny().model
    window = RawWindow(0.0, np.zeros((4, 84, 84, 3), np.uint8), np.zeros(32_000, np.float32))
    (encoded,) = WindowEncoder(model).encode([(StreamState(), window)])
    answer = reply(model, [encoded], "What?", names["EveryOther"](), max_tokens=1)
    kept = -(-encoded.seen.video // 2) + -(-encoded.seen.audio // 2)
    assert {len(rows) for rows in answer.alive} == {kept}
