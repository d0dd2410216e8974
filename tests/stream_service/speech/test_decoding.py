"""Vocabulary, hints and beam search on a toy language."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stream_service.speech.beam import BeamSearch
from stream_service.speech.hints import Hints
from stream_service.speech.vocabulary import END, Vocabulary

MERGED = ["▁", "r", "e", "d", "a", "n", "t", "▁r", "▁re", "▁red", "▁ra", "▁rad", "er", "ant", ".", "▁R", "▁Re", "▁Red"]
VOCABULARY = Vocabulary(
    [b"<unk>", b"<s>", b"</s>", *(bytes([i]) for i in range(256)), *(m.encode() for m in MERGED), b"<<ST_0>>"]
)


def token(piece: str) -> int:
    return 259 + MERGED.index(piece)


def piece(token: int) -> str:
    return MERGED[token - 259] if 259 <= token < 259 + len(MERGED) else "(other)"


class Table:
    """A decoder whose next-token probabilities depend on the tokens so far."""

    def __init__(self, table: dict[tuple[str, ...], dict[str, float]]) -> None:
        self.table = table

    def first(self) -> tuple[NDArray[np.float32], list[tuple[str, ...]]]:
        return self._logits([()]), [()]

    def extend(
        self, memory: list[tuple[str, ...]], rows: Sequence[int], tokens: Sequence[int]
    ) -> tuple[NDArray[np.float32], list[tuple[str, ...]]]:
        after = [(*memory[row], piece(t)) for row, t in zip(rows, tokens, strict=True)]
        return self._logits(after), after

    def _logits(self, prefixes: list[tuple[str, ...]]) -> NDArray[np.float32]:
        logits = np.full((len(prefixes), len(VOCABULARY)), -20, dtype=np.float32)
        for row, prefix in enumerate(prefixes):
            for name, p in self.table.get(prefix, {"": 1.0}).items():
                logits[row, END if name == "" else token(name)] = np.log(p)
        return logits


def best(table: Table, *, width: int = 3, words: Sequence[str] = (), boost: float = 2.0, longest: int = 8) -> str:
    search = BeamSearch(table, Hints(VOCABULARY, words, boost), width)
    return VOCABULARY.decode(search.run(*table.first(), longest).tokens)


def test_words_become_the_pieces_that_were_merged_first() -> None:
    assert VOCABULARY.encode("red") == [token("▁red")]
    assert VOCABULARY.encode("rant") == [token("▁ra"), token("n"), token("t")]
    assert VOCABULARY.encode("é") == [token("▁"), 3 + 0xC3, 3 + 0xA9], "an unknown character falls back to bytes"


def test_text_shows_spaces_and_bytes_and_hides_reserved_pieces() -> None:
    assert VOCABULARY.decode([1, token("▁red"), token("."), 3 + 0xC3, 3 + 0xA9, len(VOCABULARY) - 1, END]) == "red.é"


def test_the_vocabulary_file_is_read_and_a_cut_one_refused(tmp_path: Path) -> None:
    long = b"x" * 300
    data = b"\x05<unk>\x03<s>\x04</s>" + bytes([128 + 300 % 128, 300 // 128]) + long
    path = tmp_path / "tokenizer.bin"
    path.write_bytes(data)
    assert Vocabulary.load(path).decode([3]) == long.decode()
    path.write_bytes(data[:-1])
    with pytest.raises(ValueError, match="inside a piece"):
        Vocabulary.load(path)


GREEDY_TRAP = Table({(): {"▁ra": 0.6, "▁red": 0.4}, ("▁ra",): {"d": 0.51, "n": 0.49}, ("▁red",): {"": 1.0}})
UNSURE = Table({(): {"▁rad": 0.7, "▁red": 0.3}})


def test_a_beam_finds_what_greed_misses() -> None:
    assert best(GREEDY_TRAP, width=1) == "rad"
    assert best(GREEDY_TRAP, width=2) == "red"


def test_a_hint_tips_an_unsure_choice_and_not_a_sure_one() -> None:
    sure = Table({(): {"▁rad": 0.99, "▁red": 0.01}})
    assert best(UNSURE) == "rad"
    assert best(UNSURE, words=["red"]) == "red"
    assert best(sure, words=["red"]) == "rad"


def test_the_beginning_of_a_hint_that_is_not_completed_gains_nothing() -> None:
    table = Table({(): {"▁re": 0.4, "▁rad": 0.6}, ("▁re",): {"n": 1.0}, ("▁re", "n"): {"": 1.0}})
    assert [piece(t) for t in VOCABULARY.encode("rent")] == ["▁re", "n", "t"]
    assert best(table) == best(table, words=["rent"]) == "rad"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(["▁re", "▁red", "n", "t", "▁ra", "ant", "."]), max_size=8))
def test_gains_of_a_text_sum_to_the_boost_of_its_whole_hints(pieces: list[str]) -> None:
    hints = Hints(VOCABULARY, ["red", "rant", "rent"], 1.5)
    state, total = hints.begin(), 0.0
    for t in [*(token(piece) for piece in pieces), END]:
        total += float(hints.gains(state)[t])
        state = hints.advance(state, t)
    words: list[list[str]] = []
    for piece in pieces:
        if piece.startswith("▁") or piece == "." or not words:
            words.append([])
        words[-1].append(piece)
    whole = [["▁red"], ["▁ra", "n", "t"], ["▁re", "n", "t"]]
    assert total == pytest.approx(sum(1.5 * len(word) for word in words if word in whole))


def test_confidence_is_the_decoders_and_not_the_hints() -> None:
    search = BeamSearch(UNSURE, Hints(VOCABULARY, ["red"], 2.0), 3)
    found = search.run(*UNSURE.first(), 8)
    assert found.confidence == pytest.approx(np.sqrt(0.3 * 1.0), rel=1e-3)


def test_endless_text_ends_at_the_limit() -> None:
    endless = Table({("ant",) * n: {"ant": 1.0} for n in range(20)})
    assert best(endless, longest=5) == "ant" * 5


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_wide_beam_finds_the_best_text_of_all(seed: int) -> None:
    rng, pieces = np.random.default_rng(seed), ["▁red", "▁rad", "n"]
    prefixes = [p for n in range(3) for p in itertools.product(pieces, repeat=n)]
    table = {prefix: dict(zip([*pieces, ""], rng.dirichlet(np.ones(4)), strict=True)) for prefix in prefixes}
    scores = {}
    for prefix in [*prefixes, *itertools.product(pieces, repeat=3)]:
        steps = [np.log(table[prefix[:i]][piece]) for i, piece in enumerate(prefix)]
        scores[prefix] = sum(steps) + np.log(table.get(prefix, {"": 1.0})[""])
    expected = max(scores, key=scores.__getitem__)
    assert best(Table(table), width=27) == VOCABULARY.decode([token(piece) for piece in expected])
