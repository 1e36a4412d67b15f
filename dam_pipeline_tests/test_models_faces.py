"""Faces on real weights (MTCNN and dlib's, from packages) and FaceNet on a random state_dict."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from facenet_pytorch import MTCNN, InceptionResnetV1
from PIL import Image, ImageEnhance, ImageFilter

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models import FaceModel, identify, open_face, spaces
from dam_pipeline.models.cascade import THRESHOLDS, Cascade
from dam_pipeline.models.dlib_network import DlibNetwork
from dam_pipeline.models.locate import DLIB_LANDMARKS, DLIB_RECOGNISER, package_path
from dam_pipeline.settings import Settings

pytestmark = pytest.mark.weights

Edit = Callable[[Image.Image], Image.Image]
EDITS: dict[str, Edit] = {
    "mirrored": lambda image: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "half the size": lambda image: image.resize((256, 256)),
    "four times the size": lambda image: image.resize((2048, 2048)),
    "brighter": lambda image: ImageEnhance.Brightness(image).enhance(1.4),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.5),
    "without colour": lambda image: image.convert("L").convert("RGB"),
    "blurred": lambda image: image.filter(ImageFilter.GaussianBlur(2)),
    "tilted": lambda image: image.rotate(12, Image.Resampling.BICUBIC),
    "cut out": lambda image: image.crop((100, 0, 400, 300)),
}


@pytest.fixture(scope="module")
def astronaut() -> np.ndarray:
    """Eileen Collins (NASA, public domain), (512, 512, 3); her face is at about (224, 117)."""
    return skimage.data.astronaut()


@pytest.fixture(scope="module")
def cameraman() -> np.ndarray:
    """A man in profile behind a camera, (512, 512, 3)."""
    return np.repeat(skimage.data.camera()[..., None], 3, axis=2)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> FaceModel:
    """dlib's recogniser, opened once."""
    home = tmp_path_factory.mktemp("faces")
    return open_face(Settings(home=home, profile="bundled", torch_threads=1))


def test_one_face_is_found_where_it_is(model: FaceModel, astronaut: np.ndarray) -> None:
    (face,) = model.find_faces([astronaut])[0]
    x, y, w, h = np.array(face.box) * 512
    assert x + w / 2 == pytest.approx(224, abs=15)
    assert y + h / 2 == pytest.approx(117, abs=15)
    assert face.confidence > 0.99
    assert len(face.landmarks) == 5
    left_eye, right_eye, nose, left_mouth, right_mouth = np.array(face.landmarks) * 512
    assert left_eye[0] < nose[0] < right_eye[0]
    assert left_mouth[0] < right_mouth[0]
    assert left_eye[1] < nose[1] < left_mouth[1]


def test_vectors_have_length_one_and_the_dimension_of_the_space(
    model: FaceModel, astronaut: np.ndarray
) -> None:
    vector = model.find_faces([astronaut])[0][0].vector
    assert vector.dtype == np.float32
    assert vector.shape == (model.space.dimension,) == (128,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_an_edited_copy_shows_the_same_person(
    model: FaceModel, astronaut: np.ndarray, edit: Edit
) -> None:
    changed = np.asarray(edit(Image.fromarray(astronaut)))
    original, copy = model.find_faces([astronaut, changed])
    assert len(copy) == 1
    assert original[0].vector @ copy[0].vector > model.space.alike_floor + 0.02


def test_different_people_are_kept_apart(
    model: FaceModel, astronaut: np.ndarray, cameraman: np.ndarray
) -> None:
    (woman,), (man,) = model.find_faces([astronaut, cameraman])
    assert woman.vector @ man.vector < model.space.alike_floor - 0.02


def test_the_largest_face_comes_first(
    model: FaceModel, astronaut: np.ndarray, cameraman: np.ndarray
) -> None:
    double = np.concatenate([cameraman, np.asarray(Image.fromarray(astronaut))], axis=1)
    first, second = model.find_faces([double])[0]
    assert first.box[0] > 0.5 > second.box[0]
    assert first.box[2] * first.box[3] > second.box[2] * second.box[3]


def test_pictures_without_a_face_give_none(model: FaceModel) -> None:
    rng = np.random.default_rng(0)
    pictures = [
        np.zeros((300, 400, 3), np.uint8),
        rng.integers(0, 255, (300, 400, 3), np.uint8),
        skimage.data.coffee(),
        np.zeros((1, 1, 3), np.uint8),
        np.zeros((20, 2000, 3), np.uint8),
    ]
    assert model.find_faces(pictures) == [[]] * 5
    assert model.find_faces([]) == []


def test_pictures_of_several_sizes_keep_their_order(
    model: FaceModel, astronaut: np.ndarray, cameraman: np.ndarray
) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((700, 700)))
    found = model.find_faces([cameraman, large, astronaut, np.zeros((99, 99, 3), np.uint8)])
    assert [len(faces) for faces in found] == [1, 1, 1, 0]
    assert found[1][0].vector @ found[2][0].vector > 0.98 > found[0][0].vector @ found[2][0].vector


def test_the_same_picture_gives_the_same_faces_in_any_company(
    model: FaceModel, astronaut: np.ndarray, cameraman: np.ndarray
) -> None:
    alone = model.find_faces([astronaut])[0][0]
    again = model.find_faces([astronaut])[0][0]
    crowd = model.find_faces([cameraman, astronaut, cameraman, astronaut])
    assert (alone.vector == again.vector).all()
    for other in (crowd[1][0], crowd[3][0]):
        assert abs(alone.vector - other.vector).max() < 1e-5
        assert other.box == pytest.approx(alone.box, abs=1e-5)


def test_a_face_below_the_asked_confidence_is_left_out(
    tmp_path: Path, cameraman: np.ndarray
) -> None:
    settings = Settings(home=tmp_path, profile="bundled", face_confidence=1.0)
    assert open_face(settings).find_faces([cameraman]) == [[]]


def test_provenance_names_recogniser_and_detector(model: FaceModel) -> None:
    assert model.ref.name == "dlib-resnet"
    (detector,) = model.also
    assert detector.name == "mtcnn"
    assert len(detector.weights_sha256) == len(model.ref.weights_sha256) == 64


@pytest.fixture(scope="module")
def facenet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random state_dict with the classes of VGGFace2, saved as facenet-pytorch publishes it."""
    torch.manual_seed(0)
    network = InceptionResnetV1(pretrained=None, classify=True, num_classes=8631)
    path = tmp_path_factory.mktemp("facenet") / "random-vggface2.pt"
    torch.save(network.state_dict(), path)
    return path


def _facenet(tmp_path: Path, weights: Path) -> Settings:
    return Settings(home=tmp_path, face_model=str(weights), torch_threads=1)


def test_facenet_reads_a_state_dict_in_the_published_form(
    tmp_path: Path, facenet_file: Path, astronaut: np.ndarray
) -> None:
    settings = _facenet(tmp_path, facenet_file)
    model = open_face(settings)
    copy = np.ascontiguousarray(astronaut)
    (face,), (same,) = model.find_faces([astronaut, copy])
    assert face.vector.shape == (512,)
    assert np.linalg.norm(face.vector) == pytest.approx(1, abs=1e-6)
    assert (face.vector == same.vector).all()
    assert identify(settings)["face"] == model.ref
    assert spaces(settings)["face"] == model.space
    assert model.space.name == f"random-vggface2@{model.ref.weights_sha256[:12]}"


def test_facenet_gives_what_the_package_itself_gives(
    tmp_path: Path, facenet_file: Path, astronaut: np.ndarray
) -> None:
    (face,) = open_face(_facenet(tmp_path, facenet_file)).find_faces([astronaut])[0]
    network = InceptionResnetV1(pretrained=None, classify=False).eval()
    state = torch.load(facenet_file, weights_only=True)
    network.load_state_dict({k: v for k, v in state.items() if not k.startswith("logits")})
    x, y, w, h = np.array(face.box) * 512
    chip = Image.fromarray(astronaut).resize(
        (160, 160), Image.Resampling.BILINEAR, box=(x, y, x + w, y + h)
    )
    pixels = torch.from_numpy(np.array(chip, np.float32)).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = network((pixels - 127.5) / 128)[0].numpy()
    assert abs(face.vector - expected).max() < 1e-4


def test_a_state_dict_of_another_network_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "half.pt"
    torch.save({"conv2d_1a.conv.weight": torch.zeros(32, 3, 3, 3)}, path)
    with pytest.raises(WeightsMismatch, match=r"half\.pt is not a state_dict of InceptionResnetV1"):
        open_face(_facenet(tmp_path, path))


def test_the_network_gives_what_dlib_gives(model: FaceModel, astronaut: np.ndarray) -> None:
    import dlib

    home = package_path("face_recognition_models")
    assert home is not None
    weights = home / "models" / DLIB_RECOGNISER
    (face,) = model.find_faces([astronaut])[0]
    left, top, width, height = np.array(face.box) * 512
    edges = np.rint([left, top, left + width, top + height]).astype(int).tolist()
    shape = dlib.shape_predictor(str(home / "models" / DLIB_LANDMARKS))(
        astronaut, dlib.rectangle(*edges)
    )
    chip = dlib.get_face_chip(astronaut, shape, 150, 0.25)
    theirs = np.array(dlib.face_recognition_model_v1(str(weights)).compute_face_descriptor(chip))
    network = DlibNetwork(weights, torch.device("cpu"))
    ours, other = network.vectors([chip, np.ascontiguousarray(chip[:, ::-1])])
    assert abs(ours - theirs).max() < 1e-5
    assert abs(other - theirs).max() > 1e-2
    assert face.vector == pytest.approx(theirs / np.linalg.norm(theirs), abs=1e-5)


@pytest.mark.parametrize("content", [b"", b"\x01\x05con_4\x01\x02", bytes(1000)])
def test_a_file_that_is_not_dlibs_network_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "half.dat"
    path.write_bytes(content)
    with pytest.raises(WeightsMismatch, match=r"half\.dat does not hold dlib's face recognition"):
        DlibNetwork(path, torch.device("cpu"))


SCENE = (1280, 720)


def _in_a_scene(astronaut: np.ndarray, size_px: int, roll_deg: float = 0) -> np.ndarray:
    """A cup of coffee with the astronaut's face so large in it, its middle at (900, 300)."""
    ground = Image.fromarray(skimage.data.coffee()).resize(SCENE)
    side = round(200 * size_px / 90)
    face = (
        Image.fromarray(astronaut)
        .crop((124, 17, 324, 217))
        .rotate(roll_deg, Image.Resampling.BICUBIC)
    )
    ground.paste(
        face.resize((side, side), Image.Resampling.BOX), (900 - side // 2, 300 - side // 2)
    )
    return np.asarray(ground)


@pytest.mark.parametrize(("size_px", "roll_deg"), [(22, 0), (28, 0), (40, 0), (64, 30), (64, -45)])
def test_small_and_tilted_faces_are_found(
    model: FaceModel, astronaut: np.ndarray, size_px: int, roll_deg: float
) -> None:
    (face,) = model.find_faces([_in_a_scene(astronaut, size_px, roll_deg)])[0]
    x, y, w, h = np.array(face.box) * (*SCENE, *SCENE)
    assert x + w / 2 == pytest.approx(900, abs=size_px / 4)
    assert y + h / 2 == pytest.approx(300, abs=size_px / 4)


def test_the_cascade_finds_what_the_package_itself_finds(
    astronaut: np.ndarray, cameraman: np.ndarray
) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((900, 900)))
    scene = _in_a_scene(astronaut, 70)
    package = MTCNN(min_face_size=40, thresholds=list(THRESHOLDS), keep_all=True).eval()
    cascade = Cascade(40, torch.device("cpu"))
    for picture in (astronaut, cameraman, large, scene):
        boxes, chances, points = package.detect(picture, landmarks=True)
        ((ours, places),) = cascade.find([picture])
        assert len(ours) == len(boxes) == 1
        side = boxes[0][3] - boxes[0][1]
        assert ours[0, :4] == pytest.approx(boxes[0].astype(float), abs=side / 12)
        assert ours[0, 4] == pytest.approx(chances[0], abs=0.01)
        assert places[0] == pytest.approx(points[0].astype(float), abs=side / 12)
