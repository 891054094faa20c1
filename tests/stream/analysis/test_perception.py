"""From bytes to observations, whatever the container and whatever is switched on."""

from __future__ import annotations

import numpy as np
import pytest

from plugins.stream.analysis import recognition
from plugins.stream.analysis.errors import NoVideo, TooLong, Unreadable
from plugins.stream.analysis.framing import Framing
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from plugins.stream.analysis.observations import BLENDSHAPES, Observations
from plugins.stream.analysis.perception import Perception
from tests.stream.media import (
    CONTAINERS,
    encode,
    looped,
    moving,
    needs_faces,
    silence,
    smiling,
    speech,
)

pytestmark = pytest.mark.skipif(
    not is_installed(FACE_LANDMARKER), reason=f"no face model: {FACE_LANDMARKER.install}"
)
SMILE = BLENDSHAPES.index("mouthSmileLeft")
SECONDS = 4


@pytest.fixture(scope="module")
def perception() -> Perception:
    return Perception(words=False)


def talking(container: str) -> bytes:
    """Return a smiling face and a voice with a pause of a second."""
    sound = np.concatenate((speech(2), silence(1), speech(1, seed=1)))
    return encode(container, looped(smiling(), SECONDS), sound)


@needs_faces
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_the_same_observations(
    perception: Perception, container: str
) -> None:
    seen = perception.observe(talking(container))
    assert seen.duration == pytest.approx(SECONDS, abs=0.1)
    assert len(seen.faces) == len(seen.sampled) == pytest.approx(40, abs=1)
    assert np.mean([face.blendshapes[SMILE] for face in seen.faces]) > 0.7
    assert np.mean([face.expression[1] for face in seen.faces if face.expression]) > 0.8
    assert seen.voice is not None
    track = np.array(seen.voice.speech)
    assert track[20:180].mean() > 0.9
    assert track[225:290].mean() < 0.1
    assert track[320:380].mean() > 0.8
    assert not seen.truncated
    assert seen.details["failures"] == 0


@needs_faces
def test_a_recording_in_slices_gives_what_it_gives_whole(perception: Perception) -> None:
    data = encode("live webm", looped(smiling(), 9), speech(9), keys=120)
    whole = perception.observe(data)
    framing, parts, at = Framing(), [], 0.0
    for start in range(0, len(data), len(data) // 3 + 1):
        for segment in framing.feed(data[start : start + len(data) // 3 + 1]):
            parts.append((at, perception.observe(segment.data, start=segment.start)))
            at += segment.duration or parts[-1][1].duration
    assert len(parts) == 3
    assert at == pytest.approx(whole.duration, abs=0.15)
    times = [offset + face.at for offset, part in parts for face in part.faces]
    assert len(times) == pytest.approx(len(whole.faces), abs=2)
    assert np.diff(times).max() < 0.2
    spoken = sum(sum(part.voice.speech) for _, part in parts if part.voice)
    assert whole.voice is not None
    assert spoken == pytest.approx(sum(whole.voice.speech), rel=0.05)


@needs_faces
def test_observations_survive_their_journey_as_json(perception: Perception) -> None:
    seen = perception.observe(talking("webm"))
    assert Observations.load(seen.dump()) == seen


def test_without_a_face_there_is_none_and_the_pictures_were_looked_at(
    perception: Perception,
) -> None:
    seen = perception.observe(encode("mp4", moving(3)))
    assert seen.faces == ()
    assert len(seen.sampled) == 30
    assert seen.voice is None
    assert seen.words is None


def test_what_is_switched_off_needs_no_model_and_leaves_no_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbid(*_: object) -> None:
        raise AssertionError("a model was loaded for what is switched off")

    monkeypatch.setattr("plugins.stream.analysis.perception.FaceReader", forbid)
    monkeypatch.setattr("plugins.stream.analysis.perception.Recogniser", forbid)
    data = encode("mp4", moving(3), speech(3))
    heard = Perception(face=False, words=False).observe(data)
    assert (heard.sampled, heard.faces) == ((), ())
    assert heard.voice is not None
    assert heard.duration == pytest.approx(3, abs=0.1)
    monkeypatch.setattr("plugins.stream.analysis.perception.VoiceReader", forbid)
    nothing = Perception(face=False, voice=False, words=True).observe(data)
    assert nothing.voice is None
    assert nothing.words is None
    assert nothing.duration == pytest.approx(3, abs=0.1)


def test_one_segment_leaves_no_trace_in_the_next(perception: Perception) -> None:
    data = encode("mp4", moving(3), speech(3))
    first = perception.observe(data)
    with pytest.raises(Unreadable):
        perception.observe(data[:100])
    second = perception.observe(data)
    assert (first.faces, first.voice, first.sampled) == (second.faces, second.voice, second.sampled)


def test_progress_rises_to_the_whole(perception: Perception) -> None:
    shares: list[float] = []
    perception.observe(encode("mp4", moving(3)), progress=shares.append)
    assert shares == sorted(shares)
    assert len(shares) > 10
    assert shares[-1] == 1


def test_the_longest_media_can_be_set() -> None:
    short = Perception(face=False, voice=False, seconds=2)
    with pytest.raises(TooLong):
        short.observe(encode("mp4", moving(3)))


def test_errors_carry_the_codes_of_the_contract() -> None:
    assert (Unreadable.code, NoVideo.code) == ("ih5004", "ih5001")
    assert Unreadable().message
    assert str(Unreadable("why")) == "why"


@pytest.mark.skipif(
    not recognition.is_available(),
    reason="no speech recognition: pip install -r requirements-asr.txt",
)
def test_where_nobody_speaks_no_words_are_heard() -> None:
    hearing = Perception(face=False)
    assert hearing.observe(encode("mp4", moving(3), silence(3))).words == ()


@pytest.mark.skipif(recognition.is_available(), reason="speech recognition is installed")
def test_without_recognition_there_are_no_words_and_a_voice() -> None:
    seen = Perception(face=False, words=True).observe(encode("mp4", moving(3), speech(3)))
    assert seen.words is None
    assert seen.voice is not None
    assert np.mean(seen.voice.speech) > 0.9
