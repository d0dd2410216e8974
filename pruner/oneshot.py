"""The paper's setting: a recording and a question are known at once, and a policy prunes one pass over both."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pruner.decoder import LayeredDecoder
from pruner.deep import beside
from pruner.families.omni import OmniModel
from pruner.families.stack import TextStack
from pruner.guidance import LayerPruner
from pruner.policies.base import Asked, Policy, Selection, raw_tokens
from pruner.question import QuestionTokens, Speech, from_speech
from pruner.sequence import MEDIA_ID, MediaChoice, Passage, Sequencer, media_order
from pruner.transfer import Fetched
from pruner.windows import EncodedWindow

__all__ = ["Decoding", "Prompted", "Reply", "assemble", "reply", "selected"]


@dataclass(frozen=True)
class Prompted:
    """A whole sequence, ready for one pass.

    Attributes:
        embeddings: [n, hidden_size].
        positions: int64 [3, n].
        media: int64 [a] on the host, ascending: which rows are audiovisual.
        chunk, modality: int64 [a] on the host, window and `Modality` of those.
        raw: audiovisual tokens before compression.
        tail: how many of the last rows ask.
        question: how many of those are the question; the assistant's header follows them.
        added: [n, levels * hidden_size] or None, as in `pruner.decoder.Extension`.
    """

    embeddings: Tensor
    positions: Tensor
    media: Tensor
    chunk: Tensor
    modality: Tensor
    raw: int
    tail: int
    question: int
    added: Tensor | None = None

    def asked(self, layers: int) -> Asked:
        """What a policy is told."""
        device = self.embeddings.device
        return Asked(layers, self.raw, self.chunk.to(device), self.modality.to(device), self.question)


@dataclass(frozen=True)
class Reply:
    """An answer to a recording.

    Attributes:
        ids: its tokens, without the one that stops it.
        text: the same, read.
        logits: [vocabulary] of the first token.
        alive: for each layer 0…L-1, the rows (int64, device) of the audiovisual tokens that enter it.
        pruner: what chose them; `drops` are its counts.
        prompted: the sequence.
    """

    ids: list[int]
    text: str
    logits: Tensor
    alive: list[Tensor]
    pruner: LayerPruner
    prompted: Prompted


def selected(window: EncodedWindow, selection: Selection) -> Tensor:
    """Embeddings of the tokens of a window that stay, video first: [v + a, hidden_size]."""
    parts = []
    if window.video is not None:
        parts.append(window.video.flatten(0, 1)[selection.video.to(window.video.device)])
    if selection.merged is not None:
        parts.append(selection.merged)
    elif window.audio is not None:
        parts.append(window.audio[selection.audio.to(window.audio.device)])
    return torch.cat(parts)


@torch.inference_mode()
def assemble(
    model: OmniModel,
    windows: Sequence[EncodedWindow],
    selections: Sequence[Selection],
    question: str | Speech,
    *,
    system: str | None = None,
) -> Prompted:
    """The conversation `S U G* Q` of a recording, as a live one would have it.

    Args:
        windows: encoded, in order.
        selections: what of each stays.
        question: plain text; or speech, float32 [n], mono at 16 kHz.
        system: system prompt; None for the model's own.

    Raises:
        InputError: speech that the model cannot take (see `pruner.question`).
    """
    if isinstance(question, str):
        asked = QuestionTokens(model.prompt.question(question))
    else:
        asked = from_speech(model, question)
    sequencer = Sequencer(model.facts, model.prompt)
    parts = [sequencer.system(model.facts.system if system is None else system)]
    for window, chosen in zip(windows, selections, strict=True):
        patches = len(window.video) if window.video is not None else 0
        video, audio = chosen.video.cpu().numpy(), chosen.audio.cpu().numpy()
        choice = MediaChoice(window.seconds, patches, video, audio, window.audio is not None)
        parts.append(sequencer.window(choice, new_segment=window.new_segment))
    parts += [sequencer.before_question(), sequencer.question(asked.ids)]
    whole = Passage.join(parts)
    media_tokens = [selected(*pair) for pair in zip(windows, selections, strict=True)]
    embeddings = _embed(model.stack, whole, media_tokens, asked.speech)
    media = np.flatnonzero(whole.rows.media)
    return Prompted(
        embeddings=embeddings,
        positions=torch.from_numpy(np.ascontiguousarray(whole.rows.position.T)).to(model.stack.device),
        media=torch.from_numpy(media),
        chunk=torch.from_numpy(whole.rows.chunk[media].astype(np.int64)),
        modality=torch.from_numpy(whole.rows.modality[media].astype(np.int64)),
        raw=raw_tokens(windows),
        tail=asked.tail + len(model.prompt.header),
        question=asked.asking,
        added=_added(whole, windows, selections),
    )


@torch.inference_mode()
def reply(
    model: OmniModel,
    windows: Sequence[EncodedWindow],
    question: str | Speech,
    policy: Policy,
    *,
    max_tokens: int | None = None,
) -> Reply:
    """Answers one question about a recording, in words or spoken, with one policy.

    Raises:
        InputError: the question is speech that the model cannot take (see `pruner.question`).
        ScheduleError: the policy cannot reach its retention on these windows.
    """
    prompted = assemble(model, windows, policy.compress(windows), question)
    pruner = policy.prune(prompted.asked(model.stack.layers))
    limit = max_tokens or model.facts.max_answer_tokens
    run = Decoding(model.stack, prompted, pruner, limit=limit)
    ids: list[int] = []
    for token in run:
        if token in model.prompt.stop:
            break
        ids.append(token)
    return Reply(ids, model.prompt.decode(ids), run.logits, run.alive, pruner, prompted)


class Decoding(Iterator[int]):
    """Token ids of an answer, greedily, one pass at a time; the prefill is done at once.

    The host waits for the device once a token: to read it. With `ahead` it has told the device to go on by then, which
    takes the token from its own memory, so that the two work at the same time; an answer that ends has cost one pass
    too many.

    Args:
        stack: the decoder.
        prompted: the sequence.
        pruner: drops tokens in the prefill.
        limit: most tokens.
        ahead: whether the next pass is begun before a token is read; None for where it pays, on a GPU.

    Attributes:
        logits: [vocabulary] of the first token.
        alive: see `Reply`.
    """

    @torch.inference_mode()
    def __init__(
        self, stack: TextStack, prompted: Prompted, pruner: LayerPruner, *, limit: int, ahead: bool | None = None
    ) -> None:
        self._stack, self._decoder = stack, LayeredDecoder(stack, 0)
        count = len(prompted.embeddings)
        text = torch.ones(count, dtype=torch.bool)
        text[prompted.media] = False
        guided = self._decoder.prefill(
            prompted.embeddings,
            prompted.positions,
            prompted.media.to(stack.device),
            text.nonzero().flatten().to(stack.device),
            tail=prompted.tail,
            answer=limit,
            pruner=pruner,
            added=prompted.added,
        )
        self.logits, self.alive = guided.logits, guided.alive
        self._cache, self._left = guided.cache, limit
        self._ahead = stack.device.type == "cuda" if ahead is None else ahead
        self._position = prompted.positions.amax() + 1
        self._token = self.logits.argmax(dim=-1, keepdim=True)
        self._read: Fetched | None = Fetched(self._token)

    @torch.inference_mode()
    def __next__(self) -> int:
        if not self._left:
            raise StopIteration
        self._left -= 1
        coming = self._read or self._step()
        self._read = self._step() if self._ahead and self._left else None
        return int(coming.numpy()[0])

    def _step(self) -> Fetched:
        """Has the token after the newest one computed."""
        embedded = self._stack.embed(self._token)
        logits = self._decoder.decode([(None, self._cache)], embedded, self._position.expand(3, 1))[0]
        self._position = self._position + 1
        self._token = logits.argmax(dim=-1, keepdim=True)
        return Fetched(self._token)


def _embed(stack: TextStack, passage: Passage, media: Sequence[Tensor], speech: Tensor | None) -> Tensor:
    text = torch.from_numpy(passage.ids != MEDIA_ID).to(stack.device)
    ids = torch.from_numpy(passage.ids[passage.ids != MEDIA_ID]).to(stack.device)
    embeddings = torch.empty(len(passage.ids), stack.hidden_size, dtype=stack.dtype, device=stack.device)
    embeddings[text] = stack.embed(ids)
    own: list[Tensor] = []  # in the order of the sequence: the question comes last
    if media:
        order = torch.from_numpy(media_order(passage.rows)).to(stack.device)
        own.append(torch.cat(list(media)).to(stack.dtype)[order])
    if speech is not None:
        own.append(speech.to(stack.dtype))
    if own:
        embeddings[~text] = torch.cat(own)
    return embeddings


def _added(passage: Passage, windows: Sequence[EncodedWindow], selections: Sequence[Selection]) -> Tensor | None:
    """What is added after the first layers, [n, levels * hidden_size], zero beside all but video tokens."""
    deep = [
        window.deep.flatten(0, 1)[chosen.video.to(window.deep.device)]
        for window, chosen in zip(windows, selections, strict=True)
        if window.deep is not None
    ]
    if not deep:
        return None
    return beside(passage.rows, torch.cat(deep))
