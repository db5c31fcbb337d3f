"""Benches: the project's figures, measured again by anyone with `hyperfocal bench NAME`.

A bench is a module of this package with two functions: `cells` lists what there is to measure, `measure` measures one
of them. Everything else (running, resuming, tables, JSON, checking) is the same for all.
"""

BENCHES: dict[str, str] = {
    "rasterizer": "time of the CPU renderer, forward and backward, beside the least that its pairs would cost",
    "step": "time of a whole training step, beside the renderer alone",
    "lens": "light and PSNR of a lens, and of a shutter, against averages over it and Mitsuba's; its time",
    "lens_refocus": "fits of sharp views through a lens, at held-out poses against Mitsuba's; f-number and focus found",
    "cuda": "time of the cuda backend beside plain gsplat, forward and backward (needs an NVIDIA GPU)",
    "page": "pictures, blur and depth in the browser against the renderer, with the rules of other viewers; time, size",
    "first_light": "held-out views and depth of a reconstruction against generated truth, with controls",
    "stereo": "depth of posed photographs by stereo against generated truth, with controls",
    "soft": "soft photographs: what a reconstruction gains by learning their lens and motion (needs Mitsuba)",
    "ablation": "what the options of the trainer gain on real photographs (needs --data)",
    "presets": "what quick, default and best give for their time, on the same held-out photographs (needs --data)",
    "fountain": "reconstruction of the fountain photographs: poses against the survey, held-out views (needs --data)",
    "fox": "reconstruction of the fox photographs: held-out views, stages, memory (needs --data)",
}
