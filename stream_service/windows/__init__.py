"""From a session's frames and samples to the windows that the engine fuses."""

from stream_service.windows.settings import WindowSettings
from stream_service.windows.windower import Windower

__all__ = ["WindowSettings", "Windower"]
