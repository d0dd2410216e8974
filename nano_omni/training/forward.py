"""From a packed batch to hidden states: media, towers, selection, embedding, decoder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_omni.training.augment import RATE, Damage, SpeechBank, damage_audio, damage_video
from nano_omni.training.batch import Batch
from nano_omni.training.decoder import Angles, Layer, Mask, Ranges, Visibility, decode, text_rotary
from nano_omni.training.layout import AUDIO, VIDEO, Column
from nano_omni.training.past import NEVER
from nano_omni.training.sight import Look
from nano_omni.training.targets import TOKENS_PER_SECOND
from nano_omni.training.towers import audio_order, encode_audio, encode_video, merge_order, thinker_parts, vision_rotary
from nano_omni.world.pack import SOUND
from nano_omni.world.render import render
from nano_omni.world.sound import synthesise
from nano_omni.world.vocabulary import SOUNDS
from pruner.families.frames import patchify
from pruner.families.mel import LEFT_CONTEXT, log_mel

COLUMNS_OF_TOKENS = 6  # video tokens in a row of the picture
_DECADES = 8.0
Masks = Callable[[Sequence[Ranges | Visibility]], Sequence[Mask]]
"""`decoder.dense_masks` or `blocks.block_masks`."""


def compile_renderer(device: torch.device) -> None:
    """Fuse the world's per-pixel drawing into a few kernels, for this process: frames come 256 at a time."""
    scenery: Any = import_module("nano_omni.world.render")  # the package exports the function under the module's name
    outlines = scenery.atlas().to(device)
    scenery.atlas = lambda: outlines  # drawn once, by Python's own sines, which the compiler cannot follow
    scenery._paint = torch.compile(scenery._paint, dynamic=False)
    sounds: Any = import_module("nano_omni.world.sound")
    kinds = torch.zeros((len(SOUNDS), len(SOUND)))
    kinds[:, SOUND["kind"]] = torch.arange(len(SOUNDS))
    timbres = {name: table.to(device) for name, table in sounds._timbres(kinds, torch.float32).items()}
    # Looked up on the device: a table that is made on the host holds it up until the device has nothing left to do.
    sounds._timbres = lambda rows, dtype: {name: t[rows[:, SOUND["kind"]].long()] for name, t in timbres.items()}


@dataclass(frozen=True)
class Media:
    """Encoder inputs of a batch: patches [seconds, 144, 1176], mel [long, 128, 200] and [short, 128, 100]."""

    patches: Tensor
    long: Tensor
    short: Tensor


@torch.no_grad()
def make_scene(batch: Batch) -> tuple[Tensor, Tensor]:
    """What truly happens: frames uint8 [B, F, 168, 168, 3] and samples float32 [B, N], on the batch's device."""
    return render(batch.scripts), synthesise(batch.scripts)


@torch.no_grad()
def make_media(
    batch: Batch, scene: tuple[Tensor, Tensor], damage: Damage, bank: SpeechBank | None, dtype: torch.dtype
) -> Media:
    """Damage and preprocess a scene."""
    sounds = batch.scripts.sounds
    levels = sounds[..., SOUND["level"]].masked_fill(sounds[..., SOUND["there"]] == 0, 1.0)
    frames = damage_video(scene[0], damage)
    return preprocess(batch, frames, damage_audio(scene[1], levels.amin(1), damage, bank), dtype)


def preprocess(batch: Batch, frames: Tensor, samples: Tensor, dtype: torch.dtype) -> Media:
    """Encoder inputs from uint8 frames [B, F, 168, 168, 3] and samples [B, N], padded to the batch's constant sizes."""
    patches = patchify(frames, dtype=dtype).view(-1, 144, 1176)
    patches = functional.pad(patches, (0, 0, 0, 0, 0, len(batch.anchors) - len(patches)))
    long, loudest_long = _mel(samples, batch.long, 2)
    short, loudest_short = _mel(samples, batch.short, 1)
    ceiling = _running_max(len(samples), samples.shape[1] // RATE, batch, loudest_long, loudest_short)
    floors = (ceiling - _DECADES + 4) / 4
    return Media(
        patches,
        torch.maximum(long, floors[: len(long), None, None]).to(dtype),
        torch.maximum(short, floors[len(long) :, None, None]).to(dtype),
    )


def _mel(samples: Tensor, table: Tensor, seconds: int) -> tuple[Tensor, Tensor]:
    """Log-mel of windows of one length with the left context a live stream carries; and each window's own loudest
    value."""
    stream, start = table[:, 0].clamp_min(0).long(), table[:, 1].clamp_min(0).long() * RATE
    offset = torch.arange(-LEFT_CONTEXT, seconds * RATE, device=samples.device)
    # A stream's first window has nothing to its left: the STFT reflects there.
    index = (start[:, None] + offset).abs()
    cut = samples[stream[:, None], index]
    return log_mel(cut[:, LEFT_CONTEXT:], cut[:, :LEFT_CONTEXT])


def _running_max(streams: int, seconds: int, batch: Batch, long: Tensor, short: Tensor) -> Tensor:
    """Loudest value up to and including each audio row, over the trunk's windows before it: [long + short]."""
    table = torch.cat([batch.long, batch.short])
    loudest = torch.cat([long, short])
    stream, _, before = (column.clamp_min(0).long() for column in table.unbind(1))
    used = table[:, 0] >= 0
    is_trunk = used & batch.trunk
    grid = loudest.new_full((streams, seconds + 1), -torch.inf)
    # Slot windows start where a trunk window does and must not hide it: only the trunk's rows enter the grid.
    grid[torch.where(is_trunk, stream, 0), torch.where(is_trunk, before + 1, 0)] = torch.where(
        is_trunk, loudest, -torch.inf
    )
    grid[:, 0] = -torch.inf
    return torch.maximum(loudest, grid.cummax(1).values[stream, before])


@dataclass(frozen=True)
class Features:
    """Tower outputs, the order in which their tokens are kept, for the whole batch."""

    video: Tensor  # [seconds, 36, hidden]
    audio: Tensor  # [long + short, 50, hidden]; rows of 1 s use the first 25
    video_order: Tensor
    audio_order: Tensor


class Thinker(nn.Module):
    """transformers' thinker with the two forward passes that training needs; parameters are the thinker's own."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.visual, self.audio_tower, self.text = thinker_parts(model)
        config: Any = model.config
        self._rope = config.text_config.rope_parameters
        self._head_dim = self.visual.blocks[0].attn.head_dim

    def encode(self, media: Media, anchors: Tensor, compressed: Tensor) -> Features:
        """Run both towers and choose the tokens that stay."""
        cos, sin = vision_rotary(12, self._head_dim, media.patches.device)
        video = encode_video(self.visual, media.patches, cos, sin)
        long, long_saliency = encode_audio(self.audio_tower, media.long)
        short, short_saliency = encode_audio(self.audio_tower, media.short)
        pad = long.shape[1] - short.shape[1]
        order = [
            audio_order(long_saliency, compressed[: len(long)]),
            functional.pad(audio_order(short_saliency, compressed[len(long) :]), (0, pad)),
        ]
        audio = torch.cat([long, functional.pad(short, (0, 0, 0, pad))])
        return Features(video, audio, merge_order(video.detach(), anchors), torch.cat(order))

    def embed(self, rows: Tensor, features: Features) -> tuple[Tensor, Tensor]:
        """Embeddings [N, hidden] and position ids [3, N] of a packed row, as they were once given."""
        kind, source = rows[:, Column.KIND].long(), rows[:, Column.SOURCE].long()
        position, base = rows[:, Column.POSITION].long(), rows[:, Column.BASE].long()
        is_video, is_audio = kind == VIDEO, kind == AUDIO
        token = which_tokens(rows, features)
        video, audio = features.video.flatten(0, 1), features.audio.flatten(0, 1)
        everything = torch.cat([video, audio.to(video.dtype)])
        at_video = source * features.video.shape[1] + token
        at_audio = len(video) + source * features.audio.shape[1] + token
        # Text rows take one medium each, and then none of it: gradients of many rows for one are added one by one.
        index = torch.arange(len(rows), device=rows.device) % len(everything)
        index = torch.where(is_video, at_video, torch.where(is_audio, at_audio, index))
        media = everything.index_select(0, index)
        # Some words stand in thousands of rows, whose gradients a lookup adds up in float32.
        words = functional.embedding(rows[:, Column.TEXT].long(), self.text.embed_tokens.weight).to(media.dtype)
        embeds = torch.where((is_video | is_audio)[:, None], media, words)
        time = position + torch.where(is_audio, token, 0)
        row = torch.where(is_video, base + token // COLUMNS_OF_TOKENS, time)
        column = torch.where(is_video, base + token % COLUMNS_OF_TOKENS, time)
        return embeds, torch.stack([time, row, column])

    def angles(self, positions: Tensor) -> Angles:
        """Rotary embedding of position ids [3, N]."""
        return text_rotary(positions, self._rope["rope_theta"], self._rope["mrope_section"])

    def whole(self, batch: Batch, features: Features, masks: Masks) -> Tensor:
        """Hidden states [N, hidden] after the final norm, nothing missing."""
        embeds, positions = self.embed(batch.rows, features)
        angles = self.angles(positions)
        (mask,) = masks([ranges_of(batch)])
        return decode(self.text, embeds, [Layer(mask, angles, (angles,))] * len(self.text.layers))

    def pruned(self, batch: Batch, features: Features, masks: Masks, fusion: int) -> tuple[Tensor, Tensor]:
        """Hidden states [N, hidden] after the final norm, as a store and a schedule of drops leave them, and where
        each row of the batch stands in them: int64 [N].

        Args:
            batch: with its `sight`.
            features: of its media.
            masks: how attention is told who sees whom.
            fusion: layers that run as the stream flows.
        """
        layers = len(self.text.layers)
        sights, order = visibility_of(batch, features, layers, fusion)
        look = batch.sight.look.index_select(0, order)
        embeds, given = self.embed(batch.rows.index_select(0, order), features)
        today = batch.sight.clock[look[:, Look.CLOCK].long() + given].long()
        before, now = self.angles(given), self.angles(today)
        looking = self.angles(torch.where(look[:, Look.SLOT] > 0, today, given))
        shallow, deep = (looking, (before, now)), (now, (now,))
        made = zip(masks(sights), sights, strict=True)
        hidden = decode(self.text, embeds, [Layer(mask, *(shallow if sight.dual else deep)) for mask, sight in made])
        return hidden, torch.empty_like(order).scatter_(0, order, torch.arange(len(order), device=order.device))

    def logits(self, hidden: Tensor, labels: Tensor, places: Tensor | None = None) -> Tensor:
        """Logits [labels, vocabulary] at the labelled tokens; anything where no label is.

        Args:
            hidden: [N, hidden].
            labels: int32 [labels, 2] of a batch, at most `N`.
            places: where the batch's rows stand in `hidden`, if not in their order.
        """
        head: Any = self.model.lm_head
        # Unused labels look at a row each: gradients of many labels for one row are added one by one.
        index = torch.where(labels[:, 0] >= 0, labels[:, 0], torch.arange(len(labels), device=labels.device)).long()
        found: Tensor = head(hidden.index_select(0, index if places is None else places[index]))
        return found


def which_tokens(rows: Tensor, features: Features) -> Tensor:
    """Index of each audiovisual row's token in its second of video, or in its window of sound; 0 of text: int64 [N]."""
    kind, source, rank = (rows[:, i].long() for i in (Column.KIND, Column.SOURCE, Column.RANK))
    is_video, is_audio = kind == VIDEO, kind == AUDIO
    seen = features.video_order[torch.where(is_video, source, 0), torch.where(is_video, rank, 0)]
    heard = features.audio_order[torch.where(is_audio, source, 0), torch.where(is_audio, rank, 0)]
    return torch.where(is_video, seen, torch.where(is_audio, heard, 0))


def ranges_of(batch: Batch) -> Ranges:
    """The batch's attention ranges, nothing missing."""
    return Ranges(batch.first, batch.rows[:, Column.OWN].contiguous(), batch.rows[:, Column.LIMIT].contiguous())


def covering(batch: Batch, features: Features) -> Tensor:
    """Which audiovisual rows cover an object or a sound, bool [N]."""
    kind, source = batch.rows[:, Column.KIND].long(), batch.rows[:, Column.SOURCE].long()
    token = which_tokens(batch.rows, features)
    is_video, is_audio = kind == VIDEO, kind == AUDIO
    seen = batch.views[torch.where(is_video, source, 0), torch.where(is_video, token, 0), 0] > 0
    windows = torch.cat([batch.long, batch.short])[torch.where(is_audio, source, 0)].long().clamp_min(0)
    moment = (windows[:, 1] * TOKENS_PER_SECOND + token).clamp(max=batch.sounds.shape[1] - 1)
    heard = batch.sounds[windows[:, 0], torch.where(is_audio, moment, 0)] > 0
    return (is_video & seen) | (is_audio & heard)


@torch.no_grad()
def visibility_of(batch: Batch, features: Features, layers: int, fusion: int) -> tuple[list[Visibility], Tensor]:
    """Who sees whom at each layer, and the order in which the rows stand there: int64 [N].

    What outlives its stream comes first, then what dies, then the questions: so whole blocks are out of sight.
    """
    sight = batch.sight
    look = list(sight.look.unbind(1))
    luck = torch.where(covering(batch, features), sight.luck * (1 - sight.salience), sight.luck)
    death = deaths_of(look[Look.BLOCK], look[Look.DEATH], luck)
    part = torch.where(look[Look.SLOT] > 0, 2, (death < int(NEVER)).int())
    order = torch.argsort(batch.first * 4 + part, stable=True)
    first, own, limit = batch.first, batch.rows[:, Column.OWN], batch.rows[:, Column.LIMIT]
    moved = [values.index_select(0, order) for values in (first, own, look[Look.OWN_DEEP], limit)]
    fused, deep = Ranges(moved[0], moved[1], moved[3]), Ranges(moved[0], moved[2], moved[3])
    when, when_deep, spared_from, spared_to, slot = (
        look[column].index_select(0, order)
        for column in (Look.WHEN, Look.WHEN_DEEP, Look.SPARED_FROM, Look.SPARED_TO, Look.SLOT)
    )
    death, luck, phase = (values.index_select(0, order) for values in (death, luck, sight.phase))
    shares = sight.shares.index_select(1, order)
    return [
        Visibility(
            ranges=fused if layer < fusion else deep,
            place=order.int(),
            when=when if layer < fusion else when_deep,
            death=death,
            luck=luck,
            phase=phase,
            share=shares[layer],
            spared_from=spared_from,
            spared_to=spared_to,
            slot=slot,
            dual=layer < fusion,
        )
        for layer in range(layers)
    ], order


def deaths_of(block: Tensor, by_rank: Tensor, luck: Tensor) -> Tensor:
    """When each row dies: of every window's deaths, listed by rank, the token with the least luck gets the first."""
    order = torch.argsort(block.double() + luck.double().clamp_min(0))
    death = torch.empty_like(by_rank)
    death[order] = by_rank
    return death
