import assert from "node:assert/strict";
import { test } from "node:test";
import { apertureAngle, apertureDiameterFrom, circleDiameterPx, fNumberFrom, focalLengthMm, sparkFocus } from "../src/lens";

const close = (got: number, expected: number) => assert.ok(Math.abs(got - expected) <= 1e-9 * Math.abs(expected), `${got} is not ${expected}`);

/** What Spark's shader computes. */
const sparkSigmaPx = (angle: number, focus: number, focalPx: number, z: number) =>
  (focalPx * Math.tan(angle / 2) * Math.abs(z - focus)) / z;

test("a circle is positive behind the focus, negative before it, and 0 in focus", () => {
  const lens = { apertureDiameter: 0.1, focusDistance: 2 };
  close(circleDiameterPx(lens, 800, 4), 20); // 0.1 * 800 * (1/2 - 1/4)
  close(circleDiameterPx(lens, 800, 1), -40);
  assert.equal(circleDiameterPx(lens, 800, 2), 0);
});

test("Spark's standard deviation is a quarter of the circle, at any depth and focus", () => {
  for (const focusDistance of [0.5, 2, 30])
    for (const z of [0.3, 2.5, 100]) {
      const lens = { apertureDiameter: 0.07, focusDistance };
      close(sparkSigmaPx(apertureAngle(lens), sparkFocus(lens), 700, z), Math.abs(circleDiameterPx(lens, 700, z)) / 4);
    }
});

test("focus at infinity is the limit of far focus", () => {
  const lens = { apertureDiameter: 0.07, focusDistance: Infinity };
  const sigma = sparkSigmaPx(apertureAngle(lens), sparkFocus(lens), 700, 3);
  assert.ok(Math.abs(sigma / (Math.abs(circleDiameterPx(lens, 700, 3)) / 4) - 1) < 1e-5);
});

test("f/2 at 50 mm is 25 mm wide", () => {
  close(apertureDiameterFrom(2, 50, 1), 0.025);
  close(apertureDiameterFrom(2, 50, 0.1), 0.25);
  close(fNumberFrom(0.25, 50, 0.1), 2);
  close(focalLengthMm(1500, 1080, 36), 50);
});
