"""The deterministic audiovisual world that nano-omni is trained and measured in.

`make_script` (seed to truth), `pack` and `render` / `synthesise` (truth to pixels and samples), `questions` (SceneQA).
Seeds from `ACCEPTANCE_SEEDS` on are reserved for acceptance: nothing is ever trained or tuned on them.
"""

from nano_omni.world.draws import Draws
from nano_omni.world.entities import ACCEPTANCE_SEEDS, SPLITS, Scene, Script, Sound, Thing
from nano_omni.world.episodes import episode
from nano_omni.world.pack import Packed, pack
from nano_omni.world.questions import AUDIO_CATEGORIES, CATEGORIES, QA, VIDEO_CATEGORIES, Phrasing, questions
from nano_omni.world.render import render
from nano_omni.world.script import make_script
from nano_omni.world.sound import synthesise

__all__ = [
    "ACCEPTANCE_SEEDS",
    "AUDIO_CATEGORIES",
    "CATEGORIES",
    "QA",
    "SPLITS",
    "VIDEO_CATEGORIES",
    "Draws",
    "Packed",
    "Phrasing",
    "Scene",
    "Script",
    "Sound",
    "Thing",
    "episode",
    "make_script",
    "pack",
    "questions",
    "render",
    "synthesise",
]
