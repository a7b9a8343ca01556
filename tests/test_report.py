"""The report of a project: figures of every level, curves, nothing from elsewhere, nothing of a name that could run."""

from __future__ import annotations

import re

import pytest
import torch

from vedit import report, scores

LEVELS = {
    level: {"psnr": psnr, "sharpness": 0.5, "motion_ratio": None, "motion_correlation": 0.25, "flicker": 1.0, "perceptual": {"builtin": 0.03}}
    for level, psnr in (("latent", 20.0), ("balanced", 27.5))
}
ABOUT = {
    "source": "/clips/<script>alert(1)</script>.mp4",
    "generator": {"name": "g-1", "hash": "h"},
    "settings": {"seed": 3, "steps": None},
    "levels": LEVELS,
}


def test_the_page_has_every_level_and_needs_nothing_from_elsewhere() -> None:
    page = report.page(ABOUT, {"PSNR": {"reconstruction": [20.0, 21.0]}}, [0.0, 0.04])
    assert "27.5" in page and "0.03" in page and "latent" in page and "–" in page
    assert "<script" not in page and "http" not in page
    assert re.findall(r'src="([^"]*)"', page) == ["preview.mp4"]


def test_a_plot_spans_its_box_and_says_its_ends() -> None:
    drawn = report.plot("moves", {"source": [0.0, 1.0, 4.0], "reconstruction": [2.0, 3.0]}, [1.0, 2.0, 3.0])
    lines = [[tuple(map(float, point.split(","))) for point in line.split()] for line in re.findall(r'points="([^"]*)"', drawn)]
    assert [len(line) for line in lines] == [3, 2]
    (x0, y0), (_, y1), (x2, y2) = lines[0]
    assert x0 == report.MARGIN and x2 == report.WIDTH - 8 and y0 - y1 == pytest.approx((y0 - y2) / 4, abs=0.2)
    assert lines[1][0][0] == pytest.approx((x0 + lines[0][1][0]) / 2, abs=0.1), "an interval stands between its frames"
    assert ">4<" in drawn and "2.00 s" in drawn
    assert report.plot("nothing", {"a": [float("nan")]}, [0.0]) == ""


def test_curves_are_the_figures_frame_by_frame() -> None:
    rng = torch.Generator().manual_seed(0)
    source = torch.rand(5, 3, 8, 8, generator=rng) * 2 - 1
    curves = scores.Curves()
    curves.add(source, source * 0.9)
    likeness, sharpness, motion, flicker = report.drawn(curves).values()
    assert [len(plot["source"]) for plot in (sharpness, motion, flicker)] == [5, 4, 3]
    assert likeness["reconstruction"] == scores.psnr_per_frame(source, source * 0.9).tolist()
    assert torch.tensor(motion["reconstruction"]) == pytest.approx(0.81 * torch.tensor(motion["source"]), rel=1e-5)
    one = scores.Curves()
    one.add(source[:1], source[:1])
    assert [len(plot["reconstruction"]) for plot in report.drawn(one).values()] == [1, 1]
