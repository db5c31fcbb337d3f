// Reads PLY files of 3D Gaussians, plain and compressed, into what Spark draws from.
//
// Spark has a reader of its own. It stores spherical harmonics with the largest coefficient of each cut to a power of
// two, which costs 10 dB; this one rounds instead, and says in words what is wrong with a file.

import { DataUtils } from "three";
import { elementsOf, type Element } from "./ply_header";

/** Gaussians in Spark's extended encoding: two textures of four words a Gaussian, and up to four of harmonics. */
export interface Splats {
  count: number;
  centers: Float32Array;
  words: [Uint32Array, Uint32Array];
  harmonics: Partial<Record<"sh1" | "sh2" | "sh3a" | "sh3b", Uint32Array>>;
}

const TEXTURE_WIDTH = 2048;
const C0 = 0.28209479177387814;
const REST_COUNTS: Record<number, number> = { 0: 0, 9: 1, 24: 2, 45: 3 }; // f_rest_* -> degree
const half = DataUtils.toHalfFloat;

/** Throws an Error whose message is meant for people. */
export function readPly(bytes: Uint8Array, name: string): Splats {
  const elements = elementsOf(bytes, name);
  const vertex = elements.get("vertex");
  if (!vertex) throw new Error(`${name} is not a PLY file of 3D Gaussians: it has no element 'vertex'.`);
  const chunk = elements.get("chunk");
  return chunk ? compressed(vertex, chunk, elements.get("sh"), name) : plain(vertex, name);
}

function plain(vertex: Element, name: string): Splats {
  const several = (what: string, n: number) => Array.from({ length: n }, (_, k) => vertex.column(`${what}_${k}`));
  const centers = ["x", "y", "z"].map(vertex.column);
  const [scales, rotations, colors] = [several("scale", 3), several("rot", 4), several("f_dc", 3)];
  const opacity = vertex.column("opacity");
  const degree = degreeOf(vertex, name);
  const rest = Array.from({ length: 3 * coefficients(degree) }, (_, i) => vertex.column(`f_rest_${i}`));
  const out = empty(vertex.count, degree);
  for (let i = 0; i < vertex.count; i++) {
    const at = (read: Column) => read(i);
    const color = colors.map((read) => 0.5 + C0 * read(i));
    put(out, i, name, centers.map(at), scales.map(at), rotations.map(at), 1 / (1 + Math.exp(-opacity(i))), color);
    putHarmonics(out, i, degree, (k) => rest[k]!(i));
  }
  return out;
}

/** PlayCanvas's layout: chunks of 256 Gaussians with their ranges, and four words each. */
function compressed(vertex: Element, chunk: Element, sh: Element | undefined, name: string): Splats {
  const words = ["position", "rotation", "scale", "color"].map((what) => vertex.column(`packed_${what}`));
  const range = (what: string, last: number): Range => {
    if (!chunk.has(`min_${what}`)) return () => [0, 1]; // colours of early files
    const [low, high] = [chunk.column(`min_${what}`), chunk.column(`max_${what}`)];
    const bounded = (value: number) => Math.max(-last, Math.min(last, value));
    return (i) => [bounded(low(i >> 8)), bounded(high(i >> 8))];
  };
  const [px, py, pz] = ["x", "y", "z"].map((axis) => range(axis, Infinity)) as Range[];
  const [sx, sy, sz] = ["x", "y", "z"].map((axis) => range(`scale_${axis}`, 20)) as Range[];
  const [cr, cg, cb] = ["r", "g", "b"].map((axis) => range(axis, Infinity)) as Range[];
  if (chunk.count < Math.ceil(vertex.count / 256))
    throw new Error(
      `${name} has ${chunk.count} chunks for ${vertex.count} Gaussians; expected one for 256. Write the file again.`,
    );
  const degree = sh ? degreeOf(sh, name) : 0;
  const rest = Array.from({ length: 3 * coefficients(degree) }, (_, i) => sh!.column(`f_rest_${i}`));
  const out = empty(vertex.count, degree);
  for (let i = 0; i < vertex.count; i++) {
    const [position, rotation, scale, color] = words.map((word) => word(i)) as [number, number, number, number];
    put(
      out, i, name,
      [within(px!(i), position, 21, 11), within(py!(i), position, 11, 10), within(pz!(i), position, 0, 11)],
      [within(sx!(i), scale, 21, 11), within(sy!(i), scale, 11, 10), within(sz!(i), scale, 0, 11)],
      quaternion(rotation),
      (color & 255) / 255,
      [within(cr!(i), color, 24, 8), within(cg!(i), color, 16, 8), within(cb!(i), color, 8, 8)],
    );
    putHarmonics(out, i, degree, (k) => ((rest[k]!(i) + 0.5) / 256 - 0.5) * 8);
  }
  return out;
}

type Column = (row: number) => number;
type Range = (row: number) => readonly [number, number];

function within([low, high]: readonly [number, number], word: number, shift: number, bits: number): number {
  const most = 2 ** bits - 1;
  return low + (high - low) * (((word >>> shift) & most) / most);
}

/** The largest of w, x, y, z is left out; two bits say which. */
function quaternion(word: number): [number, number, number, number] {
  const small = [20, 10, 0].map((shift) => (((word >>> shift) & 1023) / 1023 - 0.5) * Math.SQRT2);
  const largest = Math.sqrt(Math.max(0, 1 - small.reduce((sum, v) => sum + v * v, 0)));
  small.splice(word >>> 30, 0, largest);
  return small as [number, number, number, number];
}

function degreeOf(element: Element, name: string): number {
  const rest = element.names.filter((property) => property.startsWith("f_rest_")).length;
  const degree = REST_COUNTS[rest];
  if (degree === undefined)
    throw new Error(
      `${name} has ${rest} properties f_rest_*; expected 0, 9, 24 or 45, of spherical harmonics of degree 0 to 3.`,
    );
  return degree;
}

/** Coefficients of a colour above degree 0. */
const coefficients = (degree: number) => (degree + 1) ** 2 - 1;

function empty(count: number, degree: number): Splats {
  const rows = Math.max(1, Math.ceil(count / TEXTURE_WIDTH));
  const layers = Math.ceil(rows / TEXTURE_WIDTH); // a layer is 2048 rows high, if there are several
  const length = 4 * TEXTURE_WIDTH * (layers > 1 ? layers * TEXTURE_WIDTH : rows);
  const texture = () => new Uint32Array(length);
  const harmonics: Splats["harmonics"] = {};
  if (degree > 0) harmonics.sh1 = texture();
  if (degree > 1) harmonics.sh2 = texture();
  if (degree > 2) [harmonics.sh3a, harmonics.sh3b] = [texture(), texture()];
  return { count, centers: new Float32Array(3 * count), words: [texture(), texture()], harmonics };
}

/** `scales` are logs, `rotation` is w, x, y, z. */
function put(
  out: Splats, i: number, name: string,
  center: number[], scales: number[], rotation: number[], opacity: number, color: number[],
): void {
  if (![...center, ...scales, ...rotation, opacity, ...color].every(Number.isFinite))
    throw new Error(
      `${name} is damaged: Gaussian ${i + 1} of ${out.count} has values that are not finite. Write the file again.`,
    );
  const [first, second] = out.words;
  out.centers.set(center, 3 * i);
  const bits = new Uint32Array(out.centers.buffer, 12 * i, 3);
  first.set(bits, 4 * i);
  first[4 * i + 3] = half(opacity);
  const [r, g, b] = color.map(halfBits) as [number, number, number];
  const [sx, sy, sz] = scales.map(halfBits) as [number, number, number];
  second[4 * i] = r | (g << 16);
  second[4 * i + 1] = b | (sx << 16);
  second[4 * i + 2] = sy | (sz << 16);
  second[4 * i + 3] = packedRotation(rotation);
}

const halfBits = (value: number) => half(Math.max(-65504, Math.min(65504, value)));

/** The axis on an octahedron, 10 bits a coordinate, and the angle in 12. */
function packedRotation([w, x, y, z]: number[]): number {
  const sign = w! < 0 ? -1 : 1;
  const length = Math.hypot(w!, x!, y!, z!) || 1;
  const axis = [x!, y!, z!].map((v) => (sign * v) / length);
  const sum = axis.reduce((total, v) => total + Math.abs(v), 0) || 1;
  let [u, v] = [axis[0]! / sum, axis[1]! / sum];
  if (axis[2]! < 0) [u, v] = [(1 - Math.abs(v)) * (u < 0 ? -1 : 1), (1 - Math.abs(u)) * (v < 0 ? -1 : 1)];
  const angle = 2 * Math.atan2(Math.hypot(...axis), Math.abs(w!) / length);
  const unit = (value: number) => Math.round((value * 0.5 + 0.5) * 1023);
  return (Math.round((angle / Math.PI) * 4095) << 20) | (unit(v) << 10) | unit(u);
}

/** `value(k)` is coefficient f_rest_k: all of red, then of green, then of blue. */
function putHarmonics(out: Splats, i: number, degree: number, value: (k: number) => number): void {
  const n = coefficients(degree);
  const { sh1, sh2, sh3a, sh3b } = out.harmonics;
  for (let k = 0; k < n; k++) {
    const word = packedCoefficient(value(k), value(n + k), value(2 * n + k));
    if (k < 4) sh1![4 * i + k] = word;
    else if (k < 8) sh2![4 * i + k - 4] = word;
    else if (k < 12) sh3a![4 * i + k - 8] = word;
    else sh3b![4 * i + k - 12] = word;
  }
}

/** Three numbers of 8 bits and sign with one exponent: the smallest power of two that none of them exceeds. */
export function packedCoefficient(r: number, g: number, b: number): number {
  const largest = Math.max(Math.abs(r), Math.abs(g), Math.abs(b));
  if (!(largest > 0)) return 0;
  const exponent = Math.max(-15, Math.min(16, Math.ceil(Math.log2(largest))));
  const byte = (value: number) => Math.min(255, Math.round((Math.abs(value) / 2 ** exponent) * 255));
  const signs = (r < 0 ? 1 : 0) | (g < 0 ? 2 : 0) | (b < 0 ? 4 : 0);
  return byte(r) | (byte(g) << 8) | (byte(b) << 16) | ((((exponent + 15) << 3) | signs) << 24);
}
