"""The engine: owns the accelerator, in a process of its own.

The gateway sees :class:`~stream_service.engine.client.LocalEngine` and
:class:`~stream_service.engine.settings.EngineSettings` only; everything that imports torch runs in the child.
"""
