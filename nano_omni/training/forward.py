"""From a packed batch to hidden states: media, towers, selection, embedding, decoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from nano_omni.training.augment import RATE, Damage, SpeechBank, damage_audio, damage_video
from nano_omni.training.batch import Batch
from nano_omni.training.decoder import Mask, Visibility, decode, text_rotary
from nano_omni.training.layout import AUDIO, VIDEO, Column
from nano_omni.training.towers import audio_order, encode_audio, encode_video, merge_order, thinker_parts, vision_rotary
from nano_omni.world.pack import SOUND
from nano_omni.world.render import render
from nano_omni.world.sound import synthesise
from pruner.families.frames import patchify
from pruner.families.mel import LEFT_CONTEXT, log_mel

COLUMNS_OF_TOKENS = 6  # video tokens in a row of the picture
_DECADES = 8.0


def compile_renderer(device: torch.device) -> None:
    """Fuse the world's per-pixel drawing into a few kernels, for this process: frames come 256 at a time."""
    scenery: Any = import_module("nano_omni.world.render")  # the package exports the function under the module's name
    outlines = scenery.atlas().to(device)
    scenery.atlas = lambda: outlines  # drawn once, by Python's own sines, which the compiler cannot follow
    scenery._paint = torch.compile(scenery._paint, dynamic=False)


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
        """Embeddings [N, hidden] and position ids [3, N] of a packed row."""
        kind, source, rank = (rows[:, i].long() for i in (Column.KIND, Column.SOURCE, Column.RANK))
        position, base = rows[:, Column.POSITION].long(), rows[:, Column.BASE].long()
        is_video, is_audio = kind == VIDEO, kind == AUDIO
        seen = features.video_order[torch.where(is_video, source, 0), torch.where(is_video, rank, 0)]
        heard = features.audio_order[torch.where(is_audio, source, 0), torch.where(is_audio, rank, 0)]
        table = self.text.embed_tokens.weight
        video, audio = features.video.flatten(0, 1), features.audio.flatten(0, 1)
        everything = torch.cat([table.to(video.dtype), video, audio.to(video.dtype)])
        index = torch.where(is_video, len(table) + source * features.video.shape[1] + seen, rows[:, Column.TEXT].long())
        at_audio = len(table) + len(video) + source * features.audio.shape[1] + heard
        index = torch.where(is_audio, at_audio, index)
        time = position + torch.where(is_audio, heard, 0)
        row = torch.where(is_video, base + seen // COLUMNS_OF_TOKENS, time)
        column = torch.where(is_video, base + seen % COLUMNS_OF_TOKENS, time)
        return everything.index_select(0, index), torch.stack([time, row, column])

    def hidden(self, rows: Tensor, features: Features, masks: Sequence[Mask]) -> Tensor:
        """Hidden states [N, hidden] after the final norm."""
        embeds, positions = self.embed(rows, features)
        cos, sin = text_rotary(positions, self._rope["rope_theta"], self._rope["mrope_section"])
        return decode(self.text, embeds, cos, sin, masks)

    def logits(self, hidden: Tensor, labels: Tensor) -> Tensor:
        """Logits [labels, vocabulary] at the labelled tokens."""
        head: Any = self.model.lm_head
        found: Tensor = head(hidden[labels[:, 0].clamp_min(0).long()])
        return found


def visibility_of(batch: Batch) -> Visibility:
    """The batch's attention ranges."""
    return Visibility(
        first=batch.first,
        own=batch.rows[:, Column.OWN].contiguous(),
        limit=batch.rows[:, Column.LIMIT].contiguous(),
        luck=batch.luck,
        phase=batch.phase,
        shares=batch.shares,
    )


def drop_groups(layers: int, fusion_depth: int, groups: int) -> list[int | None]:
    """Which keep ratio each layer uses: none below the fusion depth, then `groups` equal runs of layers."""
    deep = layers - fusion_depth
    return [None] * fusion_depth + [min(groups - 1, index * groups // deep) for index in range(deep)]
