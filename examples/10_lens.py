"""A lens in metres: how large the blur of a 50 mm f/1.8 is, and what is sharp at three distances of focus."""

import hyperfocal as hf

for focus_m in (1.0, 3.0, 10.0):
    lens = hf.PhysicalLens(focal_length_m=0.05, f_number=1.8, focus_distance_m=focus_m, sensor_width_m=0.036)
    near, far = lens.depth_of_field_m(30e-6)  # circles of 0.03 mm on the sensor, a customary limit
    circles = [f"{lens.coc_diameter_px(depth, 1600):.1f} px at {depth:g} m" for depth in (0.8, 2.0, 5.0, 100.0)]
    print(f"focused at {focus_m:g} m, sharp from {near:.2f} m to {far:.2f} m; circles: {', '.join(circles)}")
print(f"hyperfocal distance: {lens.hyperfocal_m(30e-6):.1f} m; for render(): {lens.thin_lens()}")
