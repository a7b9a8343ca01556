"""Models by name: where they are looked for, and downloads that break, resume, and are checked."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from stylegan_v import save_generator
from tests.tiny_generator import tiny_generator
from vedit import models
from vedit.errors import VeditError
from vedit.models import download as downloads
from vedit.models import registry, store
from vedit.progress import finish

BODY = bytes(range(256)) * 20_000  # 5 MB: several chunks
SHA = hashlib.sha256(BODY).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves BODY under any path; `break_after` cuts each answer short, `ranges` says whether it can resume."""

    body = BODY
    break_after: int | None = None
    ranges = True
    tag = '"one"'

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/weights.bin"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the tests, and nothing to print."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and self.server.ranges else 0
        if start and self.headers.get("If-Range") not in (None, self.server.tag):
            start = 0
        body = self.server.body
        if start >= len(body):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(body)}")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.send_header("ETag", self.server.tag)
        self.send_header("Content-Length", str(len(body) - start))
        self.end_headers()
        end = len(body) if self.server.break_after is None else start + self.server.break_after
        self.wfile.write(body[start:end])
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


@pytest.fixture
def empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine that has nothing, and asks nobody."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(tmp_path / "models"))
    monkeypatch.delenv("TORCH_HOME", raising=False)
    monkeypatch.setenv("VEDIT_OFFLINE", "1")
    (tmp_path / "models").mkdir()
    return tmp_path


def wanted(server: Server, sha256: str = SHA, size: int | None = None) -> models.ModelFile:
    return models.ModelFile("weights.bin", server.url, sha256, size)


def test_a_download_arrives_whole_and_tells_its_progress(server: Server, tmp_path: Path) -> None:
    seen = []
    path = finish(downloads.download(wanted(server, size=len(BODY)), tmp_path / "a" / "weights.bin"), seen.append)
    assert path.read_bytes() == BODY
    assert [event.done for event in seen] == sorted(event.done for event in seen)
    assert seen[-1].done == seen[-1].total == len(BODY)
    assert [file.name for file in path.parent.iterdir()] == ["weights.bin"]


def test_a_broken_download_goes_on_where_it_stopped(server: Server, tmp_path: Path) -> None:
    server.break_after = 2_000_000
    path = finish(downloads.download(wanted(server), tmp_path / "weights.bin", pause=0))
    assert path.read_bytes() == BODY
    assert server.asked == [None, "bytes=2000000-", "bytes=4000000-"]


def test_a_download_given_up_is_resumed_by_the_next_call(server: Server, tmp_path: Path) -> None:
    server.break_after = 1_000_000
    with pytest.raises(models.DownloadFailed, match="goes on where it stopped"):
        finish(downloads.download(wanted(server), tmp_path / "weights.bin", attempts=2, pause=0))
    assert not (tmp_path / "weights.bin").exists()
    server.break_after = None
    assert finish(downloads.download(wanted(server), tmp_path / "weights.bin")).read_bytes() == BODY
    assert server.asked[-1] == "bytes=2000000-"


def test_a_server_without_ranges_is_read_from_the_start(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(BODY[:1000])
    server.ranges = False
    assert finish(downloads.download(wanted(server), tmp_path / "weights.bin")).read_bytes() == BODY


def test_the_rest_of_another_version_is_not_appended(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(b"x" * 1000)
    (tmp_path / "weights.bin.part.etag").write_text('"before"')
    assert finish(downloads.download(wanted(server), tmp_path / "weights.bin")).read_bytes() == BODY


def test_a_complete_part_is_taken_as_it_is(server: Server, tmp_path: Path) -> None:
    (tmp_path / "weights.bin.part").write_bytes(BODY)
    assert finish(downloads.download(wanted(server), tmp_path / "weights.bin")).read_bytes() == BODY


@pytest.mark.parametrize("sha256", ["0" * 64, "00000000"])
def test_a_file_with_another_hash_is_refused_and_removed(server: Server, tmp_path: Path, sha256: str) -> None:
    with pytest.raises(models.BadDownload, match=SHA[:16]):
        finish(downloads.download(wanted(server, sha256), tmp_path / "weights.bin"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_size_is_refused_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    with pytest.raises(models.BadDownload, match="upstream has changed"):
        finish(downloads.download(wanted(server, size=17), tmp_path / "weights.bin"))
    assert list(tmp_path.iterdir()) == []


def test_only_web_addresses_are_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    file = models.ModelFile("weights.bin", secret.as_uri())
    with pytest.raises(models.DownloadFailed, match="no https address"):
        finish(downloads.download(file, tmp_path / "weights.bin"))


def test_an_unreachable_server_gives_one_clear_line(tmp_path: Path) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as closed:
        port = closed.server_address[1]
    file = models.ModelFile("weights.bin", f"http://127.0.0.1:{port}/weights.bin")
    with pytest.raises(models.DownloadFailed) as caught:
        finish(downloads.download(file, tmp_path / "weights.bin", attempts=1))
    assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


def test_a_missing_model_is_fetched_once_and_found_then(
    server: Server, empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = models.Model("weights", "features", "a test", "none", (wanted(server),))
    monkeypatch.setattr(registry, "MODELS", (model,))
    monkeypatch.setenv("VEDIT_OFFLINE", "0")
    assert models.locate("weights") is None
    path = models.find("weights")
    assert path == models.cache_dir() / "weights.bin" and path.read_bytes() == BODY
    assert models.find("weights.bin") == path and len(server.asked) == 1


def test_offline_nothing_is_fetched_and_the_error_says_what_to_do(empty_machine: Path) -> None:
    with pytest.raises(models.MissingModel) as caught:
        models.find("vgg16")
    text = str(caught.value)
    assert "VEDIT_OFFLINE" in text and "https://download.pytorch.org/models/vgg16-397923af.pth" in text
    assert str(empty_machine / "models") in text and "\n" not in text
    assert isinstance(caught.value, VeditError) and isinstance(caught.value, FileNotFoundError)


def test_the_search_path_comes_before_the_cache(empty_machine: Path) -> None:
    models.cache_dir().mkdir(parents=True)
    in_cache = models.cache_dir() / "alexnet-owt-7be5be79.pth"
    in_cache.write_bytes(b"cache")
    assert models.find("alexnet") == in_cache
    in_path = empty_machine / "models" / "alexnet_features.safetensors"
    in_path.write_bytes(b"path")
    assert models.find("alexnet") == in_path


def test_verify_tells_right_from_wrong_and_missing(
    server: Server, empty_machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries = [("right", SHA), ("wrong", SHA[:8]), ("unknown", ""), ("missing", SHA)]
    known = tuple(
        models.Model(name, "features", "", "", (models.ModelFile(name, sha256=sha),)) for name, sha in entries
    )
    monkeypatch.setattr(store, "MODELS", known)
    for name in ("right", "wrong", "unknown"):
        (empty_machine / "models" / name).write_bytes(BODY if name == "right" else b"other")
    assert [result.state for result in finish(models.verify())] == [name for name, _ in entries]


def test_a_built_in_of_an_earlier_version_says_what_took_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(models.UnknownModel, match="portraits-1 came with an earlier version and was replaced by portraits-2"):
        models.load_generator("portraits-1")
    save_generator(tiny_generator(), tmp_path / "portraits-1.safetensors")  # whoever kept the old file can go on with it
    monkeypatch.setenv("VEDIT_MODEL_PATH", str(tmp_path))
    assert models.load_generator("portraits-1").cfg.resolution == 16


@pytest.mark.parametrize("name", ["../portraits-2", "/etc/passwd", "..", "", "a/b", "con\x00", "~root"])
def test_names_that_lead_elsewhere_are_refused(empty_machine: Path, name: str) -> None:
    with pytest.raises(models.UnknownModel):
        models.find(name)
    with pytest.raises((models.UnknownModel, models.NoGenerator)):
        models.find_generator(name.replace("/etc/passwd", "/etc/no-such-file"))


def test_an_unknown_name_is_answered_with_close_ones() -> None:
    with pytest.raises(models.UnknownModel, match="did you mean alexnet"):
        models.get("alexnt")
    with pytest.raises(models.UnknownModel, match="known: .*vgg16"):
        models.get("zzzzzz")


def test_a_generator_of_the_search_path_is_found_by_name(empty_machine: Path) -> None:
    path = empty_machine / "models" / "mine.safetensors"
    save_file({"x": torch.zeros(3)}, path, metadata={"kind": "generator"})
    save_file({"x": torch.zeros(3)}, empty_machine / "models" / "minutes.safetensors", metadata={"kind": "statistics"})
    (empty_machine / "models" / "mint.safetensors").write_bytes(b"\xff" * 20)
    (empty_machine / "models" / "mins.safetensors").write_bytes(b"\x05" + bytes(7) + b"[[[[[")
    assert models.find_generator("mine") == path
    assert models.find_generator(path) == path
    assert [name for name, found in models.local_generators() if found.parent == path.parent] == ["mine"]
    with pytest.raises(models.UnknownModel, match="did you mean mine"):
        models.find_generator("mini")
    with pytest.raises(models.NoGenerator, match="does not exist"):
        models.find_generator(empty_machine / "models" / "none.safetensors")


def test_every_entry_can_be_recognised_or_says_where_to_get_it() -> None:
    names = [model.name for model in models.MODELS]
    assert len(set(names)) == len(names)
    for model in models.MODELS:
        for file in model.files:
            assert models.get(file.name) is model and store.plain_name(file.name)
            assert file.url is None or file.url.startswith("https://")
            assert file.sha256 == file.sha256.lower()
            if file.url is not None:
                assert file.sha256, f"{file.name} would be taken unchecked"


def test_a_model_file_is_described_without_being_built(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(3, 5), "y": torch.zeros(2)}, path, metadata={"config": '{"resolution": 64}'})
    found = models.describe(path)
    assert (found["tensors"], found["parameters"], found["config"]) == (2, 17, {"resolution": 64})


@pytest.mark.parametrize("content", [b"", b"text", b"\xff" * 100])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(content)
    with pytest.raises(models.NotAModel) as caught:
        models.describe(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(models.NotAModel, match="never opened"):
        models.describe(tmp_path / "a.pkl")
