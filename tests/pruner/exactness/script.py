"""The grammar and the position ids of a live conversation, written down a second time (method.md, "The sequence")."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from torch import Tensor

from .reference import Row, Weights


@dataclass(frozen=True)
class Grammar:
    """What the grammar of a family has of its own.

    Attributes:
        rate: ids, and audio tokens, a second.
        turns: seconds after which video and audio take turns.
        paired: whether the two tokens that open (close) a segment share an id.
        opening, closing: those tokens.
    """

    rate: int = 25
    turns: int = 2
    paired: bool = True
    opening: tuple[str, str] = ("<|vision_bos|>", "<|audio_bos|>")
    closing: tuple[str, str] = ("<|audio_eos|>", "<|vision_eos|>")


QWEN2_5 = Grammar()
QWEN3 = Grammar(13, 1, False, ("<|vision_start|>", "<|audio_start|>"), ("<|audio_end|>", "<|vision_end|>"))


@dataclass
class WindowTokens:
    """What the encoders made of a window: kept embeddings and the raw places they had."""

    seconds: int
    video: Tensor
    video_places: list[int]
    audio: Tensor
    audio_places: list[int]
    new_segment: bool = False
    later: Tensor | None = None


@dataclass
class Script:
    """Writes a conversation down as rows, by the grammar alone."""

    weights: Weights
    tokenizer: Any
    segment_windows: int
    rows: list[Row] = field(default_factory=list)
    next_id: int = 0
    chunk: int = 0
    in_user: bool = False
    base: int | None = None
    seconds: int = 0
    windows: int = 0
    short: bool = False
    grid: tuple[int, int] = (6, 6)
    grammar: Grammar = QWEN2_5

    def text(self, words: str, kind: Literal["text", "question", "header"] = "text") -> None:
        self.ids(self.tokenizer(words, add_special_tokens=False).input_ids, kind)

    def ids(self, ids: list[int], kind: Literal["text", "question", "header"] = "text") -> None:
        for number in ids:
            self.rows.append(Row(kind, self.weights.embed[number], (self.next_id,) * 3))
            self.next_id += 1

    def system(self, words: str) -> None:
        self.text(f"<|im_start|>system\n{words}<|im_end|>\n")

    def window(self, window: WindowTokens) -> None:
        """A window of both modalities."""
        if self.starts_segment(window.new_segment):
            self.close()
            self.user()
            self._pair(*self.grammar.opening)
            self.base, self.seconds, self.windows, self.short = self.next_id, 0, 0, False
        for start in range(0, window.seconds, self.grammar.turns):
            self._video(window, range(start, start + self.grammar.turns))
            self._audio(window, range(start, start + self.grammar.turns))
        self.seconds += window.seconds
        self.windows += 1
        self.chunk += 1
        self.short = window.seconds == 1
        self.next_id = self.base + self.grammar.rate * self.seconds

    def _video(self, window: WindowTokens, seconds: range) -> None:
        """The video tokens of some seconds of a window."""
        height, width = self.grid
        for index, (place, vector) in enumerate(zip(window.video_places, window.video, strict=True)):
            second, cell = divmod(place, height * width)
            if second in seconds:
                time = self.base + self.grammar.rate * (self.seconds + second)
                position = (time, self.base + cell // width, self.base + cell % width)
                later = None if window.later is None else window.later[index]
                self.rows.append(Row("video", vector, position, self.chunk, place, later))

    def _audio(self, window: WindowTokens, seconds: range) -> None:
        """The audio tokens of some seconds of a window."""
        for place, vector in zip(window.audio_places, window.audio, strict=True):
            if place // self.grammar.rate in seconds:
                time = self.base + self.grammar.rate * self.seconds + place
                self.rows.append(Row("audio", vector, (time,) * 3, self.chunk, place))

    def starts_segment(self, new_segment: bool) -> bool:
        """Whether a window fed now would open a segment."""
        return self.base is None or new_segment or self.short or self.windows == self.segment_windows

    def before_question(self) -> None:
        """What must stand before a question, whether or not it is taken back later."""
        self.close()
        self.user()

    def question(self, words: str) -> None:
        self.text(words, "question")
        self.text("<|im_end|>\n<|im_start|>assistant\n", "header")

    def spoken(self, tokens: Tensor) -> None:
        """A question of speech: a sound in the user's turn, each row of it one id on. What opens it asks nothing."""
        opening, closing = self.grammar.opening[1], self.grammar.closing[0]
        self.text(opening)
        for vector in tokens:
            self.rows.append(Row("question", vector, (self.next_id,) * 3))
            self.next_id += 1
        self.text(closing, "header")
        self.text("<|im_end|>\n<|im_start|>assistant\n", "header")

    def answer_over(self) -> None:
        self.text("<|im_end|>\n")
        self.in_user = False

    def user(self) -> None:
        if not self.in_user:
            self.text("<|im_start|>user\n")
            self.in_user = True

    def close(self) -> None:
        if self.base is not None:
            self._pair(*self.grammar.closing)
            self.base = None

    def _pair(self, *names: str) -> None:
        for name in names:
            number = self.tokenizer.convert_tokens_to_ids(name)
            self.rows.append(Row("text", self.weights.embed[number], (self.next_id,) * 3))
            self.next_id += not self.grammar.paired
        self.next_id += self.grammar.paired
