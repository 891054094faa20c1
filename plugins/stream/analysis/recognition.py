"""Recognise words with Whisper tiny.en (Radford et al. 2022, arXiv:2212.04356), where it is installed.

It drops most fillers ("um"), knows English only and invents text for anything else, so its gates are strict.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np

from plugins.stream.analysis.errors import ModelsMissing
from plugins.stream.analysis.models import INSTALL_RECOGNITION, WHISPER, is_installed, locate
from plugins.stream.analysis.observations import VOICE_STEP, Voice, Word
from plugins.stream.analysis.sound import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

#: Least share and seconds of speech in a sound for it to be recognised at all.
_SPEECH_SHARE, _SPEECH_SECONDS = 0.08, 0.3
# What OpenAI's decoder takes as failed or as no speech (whisper/transcribe.py).
_MEAN_LOG_PROBABILITY = -1.0
_NO_SPEECH = 0.6
_COMPRESSION = 2.4
#: Seconds by which the times of words miss.
_INEXACT = 0.2
#: Tokens of 30 s of speech: at 6 a second more would be a loop.
_MOST_TOKENS = 200
#: The model always works on 30 s, for about half a CPU second. Sounds of at most so many seconds are given to it with
#: so much silence after them instead, which takes a quarter of that and makes it loop now and then.
_SHORT_SOUND, _SILENCE_AFTER = 15.0, 2.0
#: Tokens a second of such a sound, and words that follow themselves, from which on it is a loop.
_TOKENS_A_SECOND, _LOOP = 8, 3


def is_available() -> bool:
    """Tell whether what speech recognition needs is installed."""
    return find_spec("faster_whisper") is not None and is_installed(WHISPER)


class Recogniser:
    """Hold the model; raises ModelsMissing when it is not installed or not the pinned one."""

    def __init__(self) -> None:
        if not is_available():
            raise ModelsMissing(
                f"Speech recognition is not installed. Install it: {INSTALL_RECOGNITION}"
            )
        from faster_whisper import WhisperModel
        from faster_whisper.tokenizer import Tokenizer

        self._model: Any = WhisperModel(
            str(locate(WHISPER).parent),
            device="cpu",
            compute_type="int8",
            cpu_threads=1,
            num_workers=1,
            local_files_only=True,
        )
        self._tokenizer: Any = Tokenizer(
            self._model.hf_tokenizer, multilingual=False, task="transcribe", language="en"
        )

    def recognise(self, samples: NDArray[np.float32], voice: Voice) -> tuple[Word, ...]:
        """Return the words in 16 kHz mono sound, none where hardly anybody speaks."""
        spoken = sum(voice.speech)
        if spoken * VOICE_STEP < _SPEECH_SECONDS or spoken < _SPEECH_SHARE * len(voice.speech):
            return ()
        words = self._recognise_short(samples) if len(samples) <= _SHORT_SOUND * RATE else None
        if words is None:
            words = self._recognise_long(samples)
        return tuple(word for word in words if _is_spoken(voice, word.start, word.end))

    def _recognise_short(self, samples: NDArray[np.float32]) -> list[Word] | None:
        """Return the words in a short sound; None when the model did not come to an end."""
        model, tokenizer = self._model, self._tokenizer
        seconds = len(samples) / RATE
        padded = np.concatenate((samples, np.zeros(int(_SILENCE_AFTER * RATE), np.float32)))
        features = model.feature_extractor(padded, padding=0)
        encoded = model.encode(features)
        prompt = model.get_prompt(tokenizer, [], without_timestamps=True)
        most = int(seconds * _TOKENS_A_SECOND)
        result = model.model.generate(
            encoded,
            [prompt],
            beam_size=1,
            # CTranslate2 keeps half of it for the prompt.
            max_length=2 * most,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        tokens = [token for token in result.sequences_ids[0] if token < tokenizer.eot]
        # The mean over the tokens and the end, as faster-whisper counts it.
        score = result.scores[0] * len(tokens) / (len(tokens) + 1)
        if score < _MEAN_LOG_PROBABILITY or result.no_speech_prob > _NO_SPEECH or not tokens:
            return []
        said = tokenizer.decode(tokens).lower().split()
        if len(tokens) >= most or _is_loop(said):
            return None
        found: list[Word] = []
        for word in model.find_alignment(tokenizer, [tokens], encoded, features.shape[-1])[0]:
            text = word["word"]
            start, end = float(word["start"]), min(float(word["end"]), seconds)
            if text.startswith(" ") or not found:
                found.append(_word(start, end, text, word["probability"]))
            else:
                # Punctuation and the second half of a hyphenated word belong to what stands before.
                last = found[-1]
                found[-1] = replace(last, text=last.text + text.strip())
        return [word for word in found if word.start < seconds]

    def _recognise_long(self, samples: NDArray[np.float32]) -> list[Word]:
        """Return the words in a sound of any length."""
        segments, _ = self._model.transcribe(
            samples,
            language="en",
            beam_size=1,
            temperature=0.0,
            word_timestamps=True,
            condition_on_previous_text=False,
            max_new_tokens=_MOST_TOKENS,
        )
        return [
            _word(word.start, word.end, word.word, word.probability)
            for segment in segments
            if segment.avg_logprob >= _MEAN_LOG_PROBABILITY
            and segment.no_speech_prob <= _NO_SPEECH
            and segment.compression_ratio <= _COMPRESSION
            for word in segment.words or ()
        ]


def _word(start: float, end: float, text: str, probability: float) -> Word:
    return Word(
        round(float(start), 2), round(float(end), 2), text.strip(), round(float(probability), 3)
    )


def _is_loop(words: list[str]) -> bool:
    """Tell whether some words are said again right after themselves."""
    return any(
        words[at : at + size] == words[at + size : at + 2 * size]
        for size in range(_LOOP, len(words) // 2 + 1)
        for at in range(len(words) - 2 * size + 1)
    )


def _is_spoken(voice: Voice, start: float, end: float) -> bool:
    """Tell whether anybody speaks about the time of a word: Whisper sets words into silence."""
    first = max(0, int((start - _INEXACT) / VOICE_STEP))
    return any(voice.speech[first : int((end + _INEXACT) / VOICE_STEP) + 1])
