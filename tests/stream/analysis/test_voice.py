"""What is heard is what was said: speech, pauses, pitch, level, syllables."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from plugins.stream.analysis.observations import VOICE_STEP
from plugins.stream.analysis.pitch import track_pitch
from plugins.stream.analysis.voice import FLOOR, VoiceReader, track_level
from tests.stream.media import RATE, noise, silence, speech, tone

if TYPE_CHECKING:
    from tests.stream.media import Sound


@pytest.fixture(scope="module")
def reader() -> VoiceReader:
    return VoiceReader()


def pauses(track: tuple[int, ...]) -> list[tuple[float, float]]:
    """Return (start, length) of the silences between speech, in seconds."""
    found, at = [], 0
    for value, run in groupby(track):
        length = len(list(run))
        if not value and 0 < at < len(track) - length:
            found.append((at * VOICE_STEP, length * VOICE_STEP))
        at += length
    return found


@pytest.mark.parametrize("hertz", [80, 110, 150, 220, 320, 430])
def test_the_pitch_of_a_voice_is_found_within_a_percent(hertz: float) -> None:
    pitch = track_pitch(tone(hertz, 2))
    inner = pitch[10:-10]
    assert (inner > 0).all()
    assert np.median(inner) == pytest.approx(hertz, rel=0.01)
    assert np.abs(inner / hertz - 1).max() < 0.03


def test_a_gliding_pitch_is_followed() -> None:
    at = np.arange(3 * RATE) / RATE
    hertz = 120 + 40 * at
    phase = 2 * np.pi * np.cumsum(hertz) / RATE
    sound = np.asarray((np.sin(phase) + 0.5 * np.sin(2 * phase)) / 2, np.float32)
    pitch = track_pitch(sound)
    wanted = 120 + 40 * (np.arange(len(pitch)) + 0.5) * VOICE_STEP
    assert np.abs(pitch / wanted - 1)[10:-10].max() < 0.03


def test_silence_and_noise_have_no_pitch() -> None:
    assert not track_pitch(silence(1)).any()
    assert (track_pitch(noise(1)) > 0).mean() < 0.1


def test_speech_is_speech(reader: VoiceReader) -> None:
    voice = reader.listen(speech(4))
    assert np.mean(voice.speech) > 0.9
    pitches = [pitch for pitch in voice.pitch if pitch]
    assert np.median(pitches) == pytest.approx(100, rel=0.1)


@pytest.mark.parametrize("sound", [silence(3), noise(3), noise(3, 0.01), tone(1000, 3, 0.05)])
def test_silence_noise_and_whistling_are_no_speech(reader: VoiceReader, sound: Sound) -> None:
    voice = reader.listen(sound)
    assert np.mean(voice.speech) < 0.05
    assert voice.syllables == ()
    assert not any(voice.pitch)


def test_pauses_are_where_nobody_speaks(reader: VoiceReader) -> None:
    sound = np.concatenate(
        (speech(2), silence(0.6), speech(2, seed=1), silence(1), speech(2, seed=2))
    )
    found = [pause for pause in pauses(reader.listen(sound).speech) if pause[1] >= 0.25]
    assert len(found) == 2
    for (start, length), (wanted, seconds) in zip(found, ((2.0, 0.6), (4.6, 1.0)), strict=True):
        assert start == pytest.approx(wanted, abs=0.15)
        assert length == pytest.approx(seconds, abs=0.2)


def test_a_voice_in_noise_is_still_heard(reader: VoiceReader) -> None:
    sound = np.concatenate((silence(2), speech(3), silence(2))) + noise(7, 0.02)
    track = np.array(reader.listen(sound).speech)
    assert track[:180].mean() < 0.1
    assert track[220:480].mean() > 0.8


@pytest.mark.parametrize("rate", [4.0, 5.0])
def test_syllables_are_counted(reader: VoiceReader, rate: float) -> None:
    voice = reader.listen(speech(4, syllables=rate))
    assert len(voice.syllables) == pytest.approx(4 * rate, rel=0.2)
    assert list(voice.syllables) == sorted(voice.syllables)


def test_the_level_is_that_of_the_sound() -> None:
    at = np.arange(RATE) / RATE
    for amplitude in (1.0, 0.5, 0.01):
        sound = (amplitude * np.sin(2 * np.pi * 200 * at)).astype(np.float32)
        wanted = 20 * np.log10(amplitude) - 3.01
        assert np.median(track_level(sound)) == pytest.approx(wanted, abs=0.3)
    assert set(track_level(silence(0.5))) == {FLOOR}


def test_louder_speech_has_a_higher_level_and_the_same_pitch(reader: VoiceReader) -> None:
    quiet, loud = reader.listen(speech(3) * np.float32(0.25)), reader.listen(speech(3))
    assert np.median(loud.level) - np.median(quiet.level) == pytest.approx(12, abs=1)
    middle = [np.median([pitch for pitch in voice.pitch if pitch]) for voice in (quiet, loud)]
    assert middle[0] == pytest.approx(middle[1], rel=0.05)


@given(
    arrays.arrays(
        np.float32,
        st.integers(0, 5000),
        elements=st.floats(-1, 1, width=32),
        fill=st.just(np.float32(0)),
    )
)
@settings(max_examples=40, deadline=None)
def test_any_sound_gives_tracks_of_one_length_and_finite_numbers(
    reader: VoiceReader, samples: Sound
) -> None:
    voice = reader.listen(samples)
    steps = len(samples) // 160
    assert len(voice.speech) == len(voice.level) == len(voice.pitch) == steps
    assert np.isfinite(voice.level).all()
    assert np.isfinite(voice.pitch).all()
    assert all(0 <= at <= steps * VOICE_STEP for at in voice.syllables)


def test_one_sound_leaves_no_trace_in_the_next(reader: VoiceReader) -> None:
    alone = reader.listen(speech(2))
    reader.listen(noise(3))
    assert reader.listen(speech(2)) == alone
