import assert from "node:assert/strict";
import { test } from "node:test";
import { packedCoefficient, readPly } from "../src/ply";

/** What Spark's shader makes of a coefficient. */
function unpacked(word: number): number[] {
  const unit = 2 ** ((word >>> 27) - 15) / 255;
  return [0, 1, 2].map((k) => ((word >>> (8 * k)) & 255) * unit * ((word >>> (24 + k)) & 1 ? -1 : 1));
}

test("coefficients are rounded and never cut", () => {
  const triples: [number, number, number][] = [
    [0.3, -0.2, 0.01], [1, 1, 1], [-0.99, 0.51, 0.5], [1e-3, -3e-3, 0], [7, 0, -7.9], [0, 0, 0],
  ];
  for (const triple of triples) {
    const largest = Math.max(...triple.map(Math.abs));
    unpacked(packedCoefficient(...triple)).forEach((value, k) =>
      assert.ok(Math.abs(value - triple[k]!) <= largest / 255 + 1e-12, `${value} for ${triple[k]}`),
    );
  }
});

test("a file that is no scene says what is wrong with it", () => {
  const file = (text: string) => new TextEncoder().encode(text);
  const header = (count: number) =>
    `ply\nformat binary_little_endian 1.0\nelement vertex ${count}\nproperty float x\nend_header\n`;
  assert.throws(() => readPly(file("hello"), "a.ply"), /a\.ply is not a PLY.*does not start with 'ply'/);
  assert.throws(() => readPly(file("ply\nformat ascii 1.0\nend_header\n"), "a.ply"), /format is another/);
  assert.throws(() => readPly(file(header(9)), "a.ply"), /ends after 0 of 9 rows/);
  assert.throws(() => readPly(file(`${header(1)}1234`), "a.ply"), /no property 'y'/);
});
