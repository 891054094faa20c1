"""Words are what was said, when it was said; where nothing was said there are none."""

from __future__ import annotations

import pytest

from plugins.stream.analysis import recognition
from plugins.stream.analysis.errors import ModelsMissing
from plugins.stream.analysis.recognition import Recogniser, is_available
from plugins.stream.analysis.voice import VoiceReader
from tests.stream.media import RATE, noise, silence, speech

needs_recognition = pytest.mark.skipif(
    not is_available(), reason="no speech recognition: pip install -r requirements-asr.txt"
)


@pytest.fixture(scope="module")
def recogniser() -> Recogniser:
    return Recogniser()


@needs_recognition
@pytest.mark.parametrize("seconds", [3, 20])
def test_where_nobody_speaks_there_are_no_words(recogniser: Recogniser, seconds: int) -> None:
    voice = VoiceReader()
    for sound in (silence(seconds), noise(seconds)):
        assert recogniser.recognise(sound, voice.listen(sound)) == ()


@needs_recognition
@pytest.mark.parametrize("seconds", [3, 10])
def test_a_voice_without_words_gives_none_or_few_within_its_time(
    recogniser: Recogniser, seconds: int
) -> None:
    sound = speech(seconds)
    words = recogniser.recognise(sound, VoiceReader().listen(sound))
    assert len(words) <= 4 * seconds
    for word in words:
        assert 0 <= word.start <= word.end <= len(sound) / RATE + 0.3
        assert 0 <= word.probability <= 1


def test_words_that_follow_themselves_are_a_loop() -> None:
    assert recognition._is_loop(
        ["so", "my", "fellow", "americans", "so", "my", "fellow", "americans"]
    )
    assert not recognition._is_loop(["maybe", "maybe", "we", "should", "wait"])
    assert not recognition._is_loop(
        [
            "what",
            "your",
            "country",
            "can",
            "do",
            "for",
            "you",
            "ask",
            "what",
            "you",
            "can",
            "do",
            "for",
            "your",
            "country",
        ]
    )
    assert not recognition._is_loop([])


@pytest.mark.skipif(is_available(), reason="speech recognition is installed")
def test_what_is_not_installed_is_named_with_its_command() -> None:
    with pytest.raises(ModelsMissing, match=r"requirements-asr\.txt"):
        Recogniser()


def test_the_track_of_speech_decides_what_is_recognised_at_all() -> None:
    class Untouched(Recogniser):
        def __init__(self) -> None:
            """Have no model: nothing may ask for it."""

    sound = silence(3)
    assert Untouched().recognise(sound, VoiceReader().listen(sound)) == ()
