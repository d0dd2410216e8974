"""From a microphone's samples to a question: voice activity, end of turn, transcription.

    samples ─▶ SpeechFront (SileroModel's probabilities ▶ Endpointer) ─▶ Utterance ─▶ Transcriber ─▶ Transcript

Neither torch nor the vendors' Python code runs here: silero-vad's and moonshine's networks are run by onnxruntime.
"""
