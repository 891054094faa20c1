"""What the face does is seen for what it is."""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from plugins.stream.analysis.decode import Decoder
from plugins.stream.analysis.face import EXPRESSION_EVERY, FaceReader
from plugins.stream.analysis.models import FACE_LANDMARKER, is_installed
from plugins.stream.analysis.observations import BLENDSHAPES, EXPRESSIONS, FaceFrame
from plugins.stream.analysis.pose import canonical_face, gaze, head_pose
from tests.stream.media import needs_faces, real

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from plugins.stream.analysis.detector import FaceDetector
    from tests.stream.media import Picture

pytestmark = pytest.mark.skipif(
    not is_installed(FACE_LANDMARKER), reason=f"no face model: {FACE_LANDMARKER.install}"
)


@pytest.fixture(scope="module")
def reader() -> FaceReader:
    return FaceReader()


def watch(reader: FaceReader, data: bytes) -> list[tuple[float, FaceFrame | None]]:
    reader.reset()
    with Decoder(data, sound=False) as decoder:
        return [(at, reader.look(picture, at)) for at, picture in decoder.frames()]


def look(reader: FaceReader, picture: Picture) -> FaceFrame:
    reader.reset()
    face = reader.look(picture, 1.0)
    assert face is not None
    return face


def shape(face: FaceFrame, name: str) -> float:
    return face.blendshapes[BLENDSHAPES.index(name)]


def photo(*, side: int = 512, turn: float = 0.0, canvas: int | None = None) -> Picture:
    """Return the photo of a smiling face, turned clockwise by degrees, on a grey canvas."""
    with Image.open(io.BytesIO(real("single_face.jpg"))) as opened:
        picture = opened.convert("RGB").resize((side, side)).rotate(-turn)
    if canvas is not None:
        grey = Image.new("RGB", (canvas, canvas), (128, 128, 128))
        grey.paste(picture, (canvas - side - 10, 10))
        picture = grey
    return np.array(picture)


@needs_faces
def test_a_face_that_begins_to_smile_is_neutral_and_then_smiles(reader: FaceReader) -> None:
    seen = [(at, face) for at, face in watch(reader, real("single_face.mp4")) if face]
    assert len(seen) >= 23
    for at, face in seen:
        smile = shape(face, "mouthSmileLeft"), shape(face, "mouthSmileRight")
        if at < 0.55:
            assert max(smile) < 0.1
        elif at > 0.75:
            assert min(smile) > 0.5
        assert shape(face, "mouthFrownLeft") < 0.2
        assert abs(face.yaw) < 20
        assert abs(face.roll) < 10
        if face.expression:
            named = EXPRESSIONS[int(np.argmax(face.expression))]
            assert named == ("neutral" if at < 0.6 else "happy")


@needs_faces
def test_a_face_that_leaves_is_there_and_then_is_not(reader: FaceReader) -> None:
    seen = watch(reader, real("face_noface.mov"))
    there = [at for at, face in seen if face is not None]
    assert len(there) > 0.2 * len(seen)
    assert max(there) < seen[-1][0] - 2


@needs_faces
def test_a_face_that_arrives_is_not_there_and_then_is(reader: FaceReader) -> None:
    seen = watch(reader, real("noface_face.mov"))
    there = [at for at, face in seen if face is not None]
    assert len(there) > 0.2 * len(seen)
    assert len([at for at in there if at < 3.5]) <= 1
    assert all(face is not None for at, face in seen if at > 4.2)


@needs_faces
def test_where_nobody_is_hardly_ever_a_face_is_seen(reader: FaceReader) -> None:
    seen = watch(reader, real("no_face.mp4"))
    assert sum(face is not None for _, face in seen) < 0.1 * len(seen)


def test_noise_and_empty_pictures_have_no_face(reader: FaceReader) -> None:
    random = np.random.default_rng(2)
    for height, width in ((16, 16), (480, 640), (640, 16), (16, 640)):
        for picture in (
            np.zeros((height, width, 3), np.uint8),
            random.integers(0, 255, (height, width, 3), dtype=np.uint8),
        ):
            reader.reset()
            assert [reader.look(picture, at / 2) for at in range(4)] == [None] * 4


@needs_faces
def test_sadness_that_turns_into_happiness_shows_in_the_smile(reader: FaceReader) -> None:
    faces = [face for _, face in watch(reader, real("WolfgangLanger_Pexels.mp4")) if face]
    smiles = [shape(face, "mouthSmileLeft") + shape(face, "mouthSmileRight") for face in faces]
    happy = [face.expression[1] for face in faces if face.expression]
    sad = [face.expression[2] for face in faces if face.expression]
    # A grimace of crying looks like a smile to the blendshapes: the expression tells them apart.
    assert np.mean(smiles[-20:]) > 1.6
    assert np.mean(happy[-6:]) > 0.8
    assert np.mean(sad[:8]) > np.mean(happy[:8])


@needs_faces
def test_a_mirror_turns_yaw_roll_and_gaze_around_and_leaves_pitch(reader: FaceReader) -> None:
    face = look(reader, photo())
    mirrored = look(reader, np.ascontiguousarray(photo()[:, ::-1]))
    assert mirrored.yaw == pytest.approx(-face.yaw, abs=3)
    assert mirrored.roll == pytest.approx(-face.roll, abs=3)
    assert mirrored.pitch == pytest.approx(face.pitch, abs=3)
    assert mirrored.center[0] == pytest.approx(1 - face.center[0], abs=0.02)
    assert shape(mirrored, "mouthSmileLeft") == pytest.approx(
        shape(face, "mouthSmileRight"), abs=0.15
    )


@needs_faces
@pytest.mark.parametrize("turn", [-25, 25])
def test_a_head_tilted_to_its_right_shoulder_rolls_by_as_much(
    reader: FaceReader, turn: float
) -> None:
    # Turned clockwise, the person's left ear goes down.
    assert look(reader, photo(turn=turn)).roll == pytest.approx(
        look(reader, photo()).roll - turn, abs=5
    )


@needs_faces
def test_a_nearer_face_is_larger_and_in_its_place(reader: FaceReader) -> None:
    near, far = look(reader, photo()), look(reader, photo(side=256, canvas=512))
    assert far.size == pytest.approx(near.size / 2, rel=0.15)
    assert far.center[0] > near.center[0]
    assert far.center[1] < near.center[1]


@needs_faces
def test_a_small_face_is_found_once_a_second_is_spent_on_it(reader: FaceReader) -> None:
    picture = np.ascontiguousarray(photo(side=150, canvas=640)[:480])
    reader.reset()
    seen = [reader.look(picture, number / 10) for number in range(10)]
    assert seen[0] is None
    assert seen[-1] is not None
    assert seen[-1].size < 0.11


@needs_faces
def test_the_expression_is_looked_at_twice_a_second(reader: FaceReader) -> None:
    seen = watch(reader, real("WolfgangLanger_Pexels.mp4"))
    times = [at for at, face in seen if face and face.expression]
    assert np.diff(times).mean() == pytest.approx(EXPRESSION_EVERY, abs=0.1)
    for _, face in seen:
        if face and face.expression:
            assert sum(face.expression) == pytest.approx(1, abs=0.01)


def rotation(yaw: float, pitch: float, roll: float) -> NDArray[np.float64]:
    """Return the rotation of a head, y up and z to the camera: roll, then pitch, then yaw."""
    y, p, r = (math.radians(angle) for angle in (yaw, pitch, roll))
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_x = np.array([[1, 0, 0], [0, math.cos(p), math.sin(p)], [0, -math.sin(p), math.cos(p)]])
    about_z = np.array([[math.cos(r), -math.sin(r), 0], [math.sin(r), math.cos(r), 0], [0, 0, 1]])
    turned: NDArray[np.float64] = about_y @ about_x @ about_z
    return turned


@pytest.mark.parametrize(
    ("yaw", "pitch", "roll"),
    [(0, 0, 0), (30, 0, 0), (-50, 0, 0), (0, 20, 0), (0, -35, 0), (0, 0, 25), (20, -15, 10)],
)
def test_the_pose_of_a_turned_head_is_its_turn(
    reader: FaceReader, yaw: float, pitch: float, roll: float
) -> None:
    canonical = reader._tracker.canonical
    turned = canonical @ rotation(yaw, pitch, roll).T
    landmarks = np.zeros((478, 3))
    # Pixels: y down, z away from the camera, at some place and size.
    landmarks[:468] = turned * (8, -8, -8) + (320, 240, 0)
    assert head_pose(landmarks, canonical) == pytest.approx((yaw, pitch, roll), abs=0.1)


def test_irises_that_move_to_the_persons_left_and_up_say_so() -> None:
    landmarks = np.zeros((478, 3))
    for right, left, iris, at in ((33, 133, 468, 100), (362, 263, 473, 200)):
        landmarks[right, :2], landmarks[left, :2] = (at, 50), (at + 40, 50)
        landmarks[iris, :2] = (at + 20 + 8, 50 - 4)
    assert gaze(landmarks) == pytest.approx((0.2, 0.1))


@pytest.mark.parametrize(
    "metadata", [b"", b"\x00", b"\xff" * 40, b"\x0a\x04abcd", bytes(range(256))]
)
def test_metadata_without_a_canonical_face_is_refused(metadata: bytes) -> None:
    with pytest.raises(ValueError, match="canonical"):
        canonical_face(metadata)


@needs_faces
def test_overlapping_candidates_are_one_face(reader: FaceReader) -> None:
    detector: FaceDetector = reader._tracker._detector
    assert len(detector.detect(photo())) == 1
    assert len(detector.search(photo())) == 1
