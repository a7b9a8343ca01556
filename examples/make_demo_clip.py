"""Make `demo.mp4`: four seconds of a talking head with a voice, drawn and synthesised from one seed.

    python examples/make_demo_clip.py [OUT.mp4]

The seed is 20,000,003; trainings use seeds below 10,000,000, so no built-in model has seen this clip.
"""

from __future__ import annotations

import sys
import tempfile
import wave
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from vedit.pixels import to_pixels
from vedit.video import write
from vedit.worlds.portraits import Portraits

SEED = 20_000_003
SIZE, FRAMES = 256, 96
SAMPLE_RATE = 44_100

# A young person with short brown hair and a green shirt: room for age, beards, make-up, other eyes and a purple t-shirt.
LOOK = {
    "age": -0.75,
    "beard": -0.95,
    "makeup": -0.8,
    "glasses": -1.0,
    "eyes.a": 0.35,
    "eyes.b": 0.5,
    "eyes.light": -0.2,
    "hair.a": 0.25,
    "hair.b": 0.25,
    "hair.light": -0.35,
    "hair.length": -0.7,
    "hair.loss": -0.9,
    "shirt.a": -0.45,
    "shirt.b": 0.1,
    "shirt.light": 0.1,
    "background.a": -0.1,
    "background.b": -0.35,
    "background.light": 0.4,
    "skin": 0.45,
    "skin.warmth": 0.2,
    "face.width": 0.0,
    "face.jaw": -0.1,
    "brows": 0.2,
}


def voice(mouth: NDArray[np.float64], fps: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """A vowel-like tone [samples] in [-1, 1], as loud as the mouth [T] in [0, 1] is open at each frame.

    A sawtooth of wandering pitch, the voice's cords, through two resonances, the mouth's, the first of which rises as it opens.
    """
    seconds = np.arange(round(len(mouth) / fps * SAMPLE_RATE)) / SAMPLE_RATE
    opening = np.interp(seconds * fps, np.arange(len(mouth)), mouth)
    drift = np.interp(seconds, np.linspace(0, seconds[-1], 24), rng.normal(0, 1, 24))
    pitch = 155 * 2 ** ((2 * drift + 2 * opening) / 12)
    phase = np.cumsum(pitch) / SAMPLE_RATE
    voiced = np.zeros_like(seconds)
    for harmonic in range(1, 40):  # summed harmonics rather than a sawtooth's edges, which would alias
        frequency = harmonic * pitch
        resonance = sum(
            gain / (1 + ((frequency - centre) / width) ** 2)
            for centre, width, gain in (
                (350 + 450 * opening, 90, 1.0),
                (1500 - 300 * opening, 140, 0.6),
                (2600, 200, 0.25),
            )
        )
        voiced += np.sin(2 * np.pi * harmonic * phase) / harmonic * resonance
    loud = voiced * opening**1.5 + rng.normal(0, 1, len(seconds)) * 0.002
    return 0.6 * loud / np.abs(loud).max()


def save_wave(path: Path, samples: NDArray[np.float64]) -> None:
    """Write mono samples [N] in [-1, 1] as 16-bit PCM."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((samples * 32767).astype("<i2").tobytes())


def main(out: Path) -> None:
    """Draw, speak and write the clip."""
    world = Portraits()
    rng = torch.Generator().manual_seed(SEED)
    attributes = torch.tensor([[LOOK[column] for column in world.columns]])
    motion = world.random_motion(torch.arange(FRAMES, dtype=torch.float32)[None], rng)  # [1, T, P]
    frames = world.draw_clips(attributes, motion, SIZE)[0]  # [T, 3, H, W]
    mouth = motion[0, :, [channel.name for channel in world.motions].index("mouth")].double().numpy()
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder) / "voice.wav"
        save_wave(sound, voice(mouth, world.fps, np.random.default_rng(SEED)))
        write(
            out,
            iter(to_pixels(frames).numpy()),
            fps=world.fps,
            crf=18,
            audio_from=sound,
            metadata={"title": "vedit demo clip", "comment": "A drawn world: no likeness of anyone."},
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_name("demo.mp4"))
