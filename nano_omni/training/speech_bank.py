"""Make the bank of synthetic speech that is mixed over training scenes (flite and espeak-ng must be installed).

    python -m nano_omni.training.speech_bank --out .bank/speech.npy --count 320

The bank is not shipped. flite's voice `rms` speaks in the live test and must never be in it.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nano_omni.world.draws import Draws
from nano_omni.world.questions import questions
from nano_omni.world.script import make_script

RATE = 16_000
SAMPLES = int(2.6 * RATE)
TEST_VOICE = "rms"
FLITE_VOICES = ("kal", "kal16", "awb", "slt")
ESPEAK_ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029")
ESPEAK_VARIANTS = ("", "+m1", "+m3", "+m4", "+m7", "+f1", "+f2", "+f3", "+f5")


def speak(text: str, draws: Draws) -> NDArray[np.int16]:
    """One utterance by a random voice, int16 mono at 16 kHz, cut or padded to `SAMPLES`."""
    if draws.chance(0.5):
        command = ["flite", "-voice", draws.choice(FLITE_VOICES), "-t", text, "-o", "/dev/stdout"]
        command += ["--setf", f"duration_stretch={draws.uniform(0.8, 1.2):.2f}"]
    else:
        voice = draws.choice(ESPEAK_ACCENTS) + draws.choice(ESPEAK_VARIANTS)
        command = ["espeak-ng", "-v", voice, "-s", str(draws.between(130, 200)), "-p", str(draws.between(25, 75))]
        command += ["--stdout", text]
    sound = subprocess.run(command, check=True, capture_output=True).stdout
    with wave.open(io.BytesIO(sound)) as file:
        # A pipe cannot be rewound, so the header's length is not to be trusted: read to the end.
        rate, data = file.getframerate(), sound[44:]
    samples = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2").astype(np.float64)
    times = np.arange(int(len(samples) * RATE / rate)) * rate / RATE
    resampled = np.interp(times, np.arange(len(samples)), samples)
    out = np.zeros(SAMPLES, dtype=np.int16)
    used = resampled[:SAMPLES]
    out[: len(used)] = used.round().clip(-32_768, 32_767)
    return out


def make_bank(count: int, seed: int = 0) -> NDArray[np.int16]:
    """`count` utterances of training questions: int16 [count, SAMPLES]."""
    bank = []
    for index in range(count):
        draws = Draws(seed, index)
        script = make_script(index, 8)
        asked = questions(script, 16, draws, 1)
        bank.append(speak(asked[0].text if asked else "What do you see?", draws))
    return np.stack(bank)


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the bank of synthetic speech for training")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--count", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    np.save(arguments.out, make_bank(arguments.count, arguments.seed))


if __name__ == "__main__":
    main()
