import assert from "node:assert/strict";
import { test } from "node:test";
import { apertureDiameterFrom, circleDiameterPx, circleTerms, fNumberFrom, focalLengthMm } from "../src/lens";

const close = (got: number, expected: number) =>
  assert.ok(Math.abs(got - expected) <= 1e-9 * Math.abs(expected), `${got} is not ${expected}`);

test("a circle is positive behind the focus, negative before it, and 0 in focus", () => {
  const lens = { apertureDiameter: 0.1, focusDistance: 2 };
  close(circleDiameterPx(lens, 800, 4), 20); // 0.1 * 800 * (1/2 - 1/4)
  close(circleDiameterPx(lens, 800, 1), -40);
  assert.equal(circleDiameterPx(lens, 800, 2), 0);
});

test("the terms give the circle at any depth and focus", () => {
  for (const focusDistance of [0.5, 2, Infinity])
    for (const z of [0.3, 2.5, 100]) {
      const lens = { apertureDiameter: 0.07, focusDistance };
      const [first, second] = circleTerms(lens, 700);
      close(second - first / z, circleDiameterPx(lens, 700, z));
    }
});

test("f/2 at 50 mm is 25 mm wide", () => {
  close(apertureDiameterFrom(2, 50, 1), 0.025);
  close(apertureDiameterFrom(2, 50, 0.1), 0.25);
  close(fNumberFrom(0.25, 50, 0.1), 2);
  close(focalLengthMm(1500, 1080, 36), 50);
});
