// The thin lens of the library (lens.py) in the browser. Lengths are scene units, focal lengths of pictures pixels.

/** Aperture 0 is the pinhole; `focusDistance` is camera z and may be Infinity. */
export interface Lens {
  apertureDiameter: number;
  focusDistance: number;
}

export const PINHOLE: Lens = { apertureDiameter: 0, focusDistance: 1 };

/** Circle of confusion of what is at camera z: its diameter in pixels, positive behind the focus. */
export function circleDiameterPx(lens: Lens, focalPx: number, z: number): number {
  return lens.apertureDiameter * focalPx * (1 / lens.focusDistance - 1 / z);
}

/**
 * The circle at any depth is `second - first / z`: aperture times focal length, and that over the focus.
 *
 * A disc of diameter c has the variance c^2 / 16 along each axis; Gaussians grow by that. Other viewers take other
 * shares of the circle for the standard deviation: Spark's example a half, splat-transform all of it.
 */
export function circleTerms(lens: Lens, focalPx: number): [first: number, second: number] {
  const reach = lens.apertureDiameter * focalPx;
  return [reach, reach / lens.focusDistance];
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
