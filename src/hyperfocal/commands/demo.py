"""`hyperfocal demo`."""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from ..progress import Progress
from ..reconstruct.demo import COMPARISON, WITHOUT_LENS, Demo, demo
from .display import show_facts, show_next
from .reconstruct import record_of, show_result


def show_demo(out: Path, *, quick: bool, overwrite: bool, console: Console, progress: Progress) -> Mapping[str, object]:
    """Reconstruct the photographs that come with the package, with and without their lens, and say how well."""
    done = demo(out, quick=quick, overwrite=overwrite, progress=progress)
    show_result(done.result, out, console)
    show_facts(console, "Against the truth, which the fit has not seen", _facts(done, out))
    show_next(console, f"hyperfocal render {out} --path swing")
    show_next(console, "hyperfocal reconstruct YOUR_PHOTOGRAPHS --lens auto --eval")
    compared = {"with_lens": asdict(done.judged), "without_lens": asdict(done.without)}
    return {**record_of(done.result, out), **compared, "comparison": out / COMPARISON}


def _facts(done: Demo, out: Path) -> Mapping[str, str]:
    with_lens, without = done.judged, done.without
    assert with_lens.focus_error is not None, "a lens was fitted"
    assert with_lens.focus_error_worst is not None, "likewise"
    assert with_lens.aperture_error is not None, "likewise"
    return {
        "without a lens": f"{without.psnr_db:.2f} dB PSNR on held-out views, all in focus ({out / WITHOUT_LENS})",
        "with the lens": f"{with_lens.psnr_db:.2f} dB",
        "focus distances": f"{with_lens.focus_error:.1%} of the scene's range of 1 / z off in the mean, "
        f"{with_lens.focus_error_worst:.1%} at most",
        "aperture": f"{abs(with_lens.aperture_error):.1%} too {'large' if with_lens.aperture_error > 0 else 'small'}",
        "look at": f"{out / COMPARISON}: a photograph, without a lens, with it, the truth",
    }
