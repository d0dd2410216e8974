"""OmniDrop as a library: query-guided token pruning for omni-modal models, live or over a recording.

Live: `LiveModel` (see `pruner.live`). The parts can be used alone: schedules, importance, compression, the fusion store
and the layered decoder. torch and transformers are all it needs; it knows nothing of media containers or services.
"""

from pruner.conversation import Conversation, ConversationReport, ConversationState
from pruner.errors import (
    BudgetError,
    DeviceMemoryError,
    InputError,
    PrunerError,
    ScheduleError,
    StateError,
    UnsupportedModelError,
    WeightsError,
)
from pruner.families.facts import ModelFacts
from pruner.generate import generate
from pruner.live import Ask, LiveModel
from pruner.options import LiveOptions, TurnOptions
from pruner.report import ChunkSurvivors, TurnReport
from pruner.turn import Step, Turn, TurnState
from pruner.windows import EncodedWindow, FuseReport, RawWindow, Tokens

__all__ = [
    "Ask",
    "BudgetError",
    "ChunkSurvivors",
    "Conversation",
    "ConversationReport",
    "ConversationState",
    "DeviceMemoryError",
    "EncodedWindow",
    "FuseReport",
    "InputError",
    "LiveModel",
    "LiveOptions",
    "ModelFacts",
    "PrunerError",
    "RawWindow",
    "ScheduleError",
    "StateError",
    "Step",
    "Tokens",
    "Turn",
    "TurnOptions",
    "TurnReport",
    "TurnState",
    "UnsupportedModelError",
    "WeightsError",
    "generate",
]
