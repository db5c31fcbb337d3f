// The thin lens of the library (lens.py) in the browser. Lengths are scene units, focal lengths of pictures pixels.

/** Aperture 0 is the pinhole; `focusDistance` is camera z and may be Infinity. */
export interface Lens {
  apertureDiameter: number;
  focusDistance: number;
}

export const PINHOLE: Lens = { apertureDiameter: 0, focusDistance: 1 };

/** Farther than this the plane in focus counts as infinitely far: the shader divides by it in single precision. */
const FAR = 1e6;

/** The distance that Spark is told to focus at: 0 would switch its blur off. */
export function sparkFocus(lens: Lens): number {
  return Math.min(lens.focusDistance, FAR);
}

/**
 * The angle that makes Spark's blur that of the lens.
 *
 * Spark blurs by a Gaussian of standard deviation f tan(angle / 2) |z - focus| / z. A disc of diameter c, the thin
 * lens's circle A f |1/focus - 1/z|, has the variance c^2 / 16 along each axis, so that tan(angle / 2) = A / (4 focus).
 * It depends on the focus: set it again with every change. `aspect` is the ratio of the focal length for circles,
 * sqrt(fx fy), over fx, which is Spark's.
 */
export function apertureAngle(lens: Lens, aspect = 1): number {
  return 2 * Math.atan((lens.apertureDiameter * aspect) / (4 * sparkFocus(lens)));
}

/** Circle of confusion of what is at camera z: its diameter in pixels, positive behind the focus. */
export function circleDiameterPx(lens: Lens, focalPx: number, z: number): number {
  return lens.apertureDiameter * focalPx * (1 / lens.focusDistance - 1 / z);
}

/** Geometric mean of both focal lengths: that of circles, which stay round. */
export function roundFocalPx(focalPx: [number, number]): number {
  return Math.sqrt(focalPx[0] * focalPx[1]);
}

/** Focal length of the lens that shows as much as the camera on a sensor with this longer side. */
export function focalLengthMm(focalPx: number, longSidePx: number, sensorWidthMm: number): number {
  return (focalPx / longSidePx) * sensorWidthMm;
}

/** Opening of a lens in scene units. */
export function apertureDiameterFrom(fNumber: number, focalLengthMm: number, metresPerUnit: number): number {
  return focalLengthMm / 1000 / fNumber / metresPerUnit;
}

/** The inverse of `apertureDiameterFrom`; Infinity for the pinhole. */
export function fNumberFrom(apertureDiameter: number, focalLengthMm: number, metresPerUnit: number): number {
  return focalLengthMm / 1000 / (apertureDiameter * metresPerUnit);
}
