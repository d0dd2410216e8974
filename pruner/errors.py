"""Every error this library raises on purpose.

    PrunerError (a ValueError)
    ├── ScheduleError          a retention that no schedule reaches; says what is reachable
    ├── InputError             something handed in is malformed; names the field and the remedy
    ├── BudgetError            a token budget or buffer too small for what it must hold
    ├── StateError             a call that the conversation's or turn's state does not allow
    ├── WeightsError           a model directory that is missing or broken
    ├── DeviceMemoryError      a model that its device has no room for
    └── UnsupportedModelError  a model family that no adapter knows

Facts are attributes, so that a caller can map them to its own wire format without parsing the text.
"""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "BudgetError",
    "DeviceMemoryError",
    "InputError",
    "PrunerError",
    "ScheduleError",
    "StateError",
    "UnsupportedModelError",
    "WeightsError",
]


class PrunerError(ValueError):
    """Base of all errors of the pruner."""


class ScheduleError(PrunerError):
    """A retention target outside what exact integer counts can reach.

    Attributes:
        target: what was asked for, a share in [0, 1].
        reachable: lowest and highest share that some schedule of the asked shape reaches.
    """

    def __init__(self, target: float, reachable: tuple[float, float], what: str = "retention") -> None:
        low, high = reachable
        super().__init__(f"{what} {target:.4f} cannot be reached; reachable is {low:.4f} to {high:.4f}")
        self.target = target
        self.reachable = reachable
        self.what = what


class InputError(PrunerError):
    """Input that cannot be used as it is.

    Attributes:
        field: name of the offending argument or attribute.
        remedy: one sentence on what to do instead.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(f"{field}: {problem}; {remedy}")
        self.field = field
        self.problem = problem
        self.remedy = remedy


class BudgetError(PrunerError):
    """A budget or a fixed buffer is too small.

    Attributes:
        needed: tokens that had to fit.
        available: tokens that do fit.
    """

    def __init__(self, what: str, *, needed: int, available: int) -> None:
        super().__init__(f"{what}: {needed} tokens needed, {available} available")
        self.what = what
        self.needed = needed
        self.available = available


class StateError(PrunerError):
    """A call in a state that does not allow it.

    Attributes:
        state: the state the object is in.
        action: what was attempted.
    """

    def __init__(self, action: str, state: str, remedy: str) -> None:
        super().__init__(f"cannot {action} while {state}; {remedy}")
        self.action = action
        self.state = state
        self.remedy = remedy


class WeightsError(PrunerError):
    """A model directory that is missing, incomplete or unreadable.

    Attributes:
        path: the directory or file in question.
        remedy: one sentence on what to do.
    """

    def __init__(self, path: str | Path, problem: str, remedy: str) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = Path(path)
        self.problem = problem
        self.remedy = remedy


class DeviceMemoryError(PrunerError):
    """A device without room for what must be on it; known before anything was loaded.

    Attributes:
        what: what had to fit.
        device: name of the device.
        needed: bytes.
        available: bytes that are free.
    """

    def __init__(self, what: str, device: str, *, needed: int, available: int) -> None:
        sizes = f"{needed / 2**30:.2f} GiB, {max(available, 0) / 2**30:.2f} are free on {device}"
        super().__init__(f"{what} need {sizes}; use a smaller number format, a smaller model or another device")
        self.what = what
        self.device = device
        self.needed = needed
        self.available = available


class UnsupportedModelError(PrunerError):
    """A model whose family no adapter knows.

    Attributes:
        model_type: `model_type` of the model's configuration.
        known: model types that are supported.
    """

    def __init__(self, model_type: str, known: tuple[str, ...]) -> None:
        super().__init__(f"no adapter for model type {model_type!r}; known are {', '.join(known)}")
        self.model_type = model_type
        self.known = known
