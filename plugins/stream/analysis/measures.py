"""Every measure that a cue can rest on, by the name that the table of rules knows."""

from __future__ import annotations

from plugins.stream.analysis.face_measures import FACE_MEASURES
from plugins.stream.analysis.voice_measures import VOICE_MEASURES
from plugins.stream.analysis.word_measures import WORD_MEASURES

MEASURES = {**FACE_MEASURES, **VOICE_MEASURES, **WORD_MEASURES}
