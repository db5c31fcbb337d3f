/** What the page shows: reads the manifest strictly, so that a wrong one ends in a sentence and not in a blank page. */

import { axisOf, dot, type Mat4, type Vec3 } from "./geometry";

export interface Asset {
  url?: string;
  embedded?: string;
  type?: string;
  /** How what is embedded was made smaller before it became base64. */
  encoding?: "gzip";
}

export interface Spread {
  median: number;
  p95: number;
}

/** How a photograph was taken, as fitted; lengths are scene units. */
export interface FittedLens {
  apertureDiameter: number;
  focus: "distance" | "infinity" | "everywhere";
  focusDistance: number | null;
  /** Standard deviation of 1 / focus distance. */
  focusSigma: number | null;
  fNumber: number | null;
  circlePx: Spread | null;
  streakPx: Spread | null;
}

export interface Photographed {
  name: string;
  width: number;
  height: number;
  focalPx: [number, number];
  centerPx: [number, number];
  worldToCamera: Mat4;
  heldOut: boolean;
  photograph: Asset | null;
  lens: FittedLens | null;
}

export interface Manifest {
  title: string;
  metresPerUnit: number | null;
  up: Vec3 | null;
  colorSpace: "srgb" | "linear";
  scene: Asset;
  sceneName: string;
  gaussians: number | null;
  background: Vec3;
  sensorWidthMm: number;
  cameras: Photographed[];
  live: boolean;
}

/** A mistake in what the page was given, in a sentence that a person can act on. */
export class PageError extends Error {}

const REMEDY = "Write the page again with `hyperfocal export --format html`, or open it with `hyperfocal view`.";

function wrong(where: string, got: unknown, expected: string): never {
  const shown = got === undefined ? "nothing" : JSON.stringify(got);
  const short = shown.length > 60 ? `${shown.slice(0, 57)}...` : shown;
  throw new PageError(`The page's manifest cannot be used: ${where} is ${short}, expected ${expected}. ${REMEDY}`);
}

type Row = Record<string, unknown>;

function row(value: unknown, where: string): Row {
  if (typeof value !== "object" || value === null || Array.isArray(value)) wrong(where, value, "an object");
  return value as Row;
}

function text(value: unknown, where: string): string {
  return typeof value === "string" ? value : wrong(where, value, "a text");
}

function flag(value: unknown, where: string): boolean {
  return typeof value === "boolean" ? value : wrong(where, value, "true or false");
}

function number(value: unknown, where: string): number {
  return typeof value === "number" && Number.isFinite(value) ? value : wrong(where, value, "a finite number");
}

function positive(value: unknown, where: string): number {
  return number(value, where) > 0 ? (value as number) : wrong(where, value, "a number above 0");
}

function notNegative(value: unknown, where: string): number {
  return number(value, where) >= 0 ? (value as number) : wrong(where, value, "a number of at least 0");
}

function size(value: unknown, where: string): number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) < 1 << 20
    ? (value as number)
    : wrong(where, value, "a whole number of pixels");
}

function numbers(value: unknown, count: number, where: string): number[] {
  if (!Array.isArray(value) || value.length !== count) wrong(where, value, `${count} numbers`);
  return value.map((entry, i) => number(entry, `${where}[${i}]`));
}

function optional<T>(value: unknown, where: string, read: (value: unknown, where: string) => T): T | null {
  return value === null || value === undefined ? null : read(value, where);
}

function oneOf<T extends string>(value: unknown, where: string, choices: readonly T[]): T {
  return choices.includes(value as T) ? (value as T) : wrong(where, value, choices.map((c) => `"${c}"`).join(" or "));
}

function asset(value: unknown, where: string): Asset {
  const content = row(value, where);
  if (content.embedded !== undefined) {
    const encoding = optional(content.encoding, `${where}.encoding`, (v, w) => oneOf(v, w, ["gzip"] as const));
    return {
      embedded: text(content.embedded, `${where}.embedded`),
      type: text(content.type ?? "", `${where}.type`),
      ...(encoding ? { encoding } : {}),
    };
  }
  const url = text(content.url, `${where}.url`);
  // Only files beside the page: a manifest can never make it ask another host.
  if (url === "" || /^[a-z][a-z0-9+.-]*:/i.test(url) || /^[\\/]|\\/.test(url) || url.split("/").includes("..")) {
    wrong(`${where}.url`, url, "a relative address of a file beside the page");
  }
  return { url };
}

function spread(value: unknown, where: string): Spread {
  const content = row(value, where);
  return { median: notNegative(content.median, `${where}.median`), p95: notNegative(content.p95, `${where}.p95`) };
}

function lens(value: unknown, where: string): FittedLens {
  const content = row(value, where);
  const focus = oneOf(content.focus, `${where}.focus`, ["distance", "infinity", "everywhere"] as const);
  const distance = optional(content.focus_distance, `${where}.focus_distance`, positive);
  if (focus === "distance" && distance === null) wrong(`${where}.focus_distance`, null, "a distance above 0");
  return {
    apertureDiameter: notNegative(content.aperture_diameter, `${where}.aperture_diameter`),
    focus,
    focusDistance: distance,
    focusSigma: optional(content.focus_sigma, `${where}.focus_sigma`, notNegative),
    fNumber: optional(content.f_number, `${where}.f_number`, positive),
    circlePx: optional(content.circle_px, `${where}.circle_px`, spread),
    streakPx: optional(content.streak_px, `${where}.streak_px`, spread),
  };
}

function pose(value: unknown, where: string): Mat4 {
  if (!Array.isArray(value) || value.length !== 4) wrong(where, value, "4 rows of 4 numbers");
  const rows = value.map((entry, i) => numbers(entry, 4, `${where}[${i}]`)) as Mat4;
  for (const i of [0, 1, 2] as const) {
    for (const j of [0, 1, 2] as const) {
      const product = dot(axisOf(rows, i), axisOf(rows, j));
      if (Math.abs(product - (i === j ? 1 : 0)) > 2e-3) wrong(where, value, "a rotation with a position");
    }
  }
  return rows;
}

function camera(value: unknown, where: string): Photographed {
  const content = row(value, where);
  const focal = numbers(content.focal_px, 2, `${where}.focal_px`);
  focal.forEach((f, i) => positive(f, `${where}.focal_px[${i}]`));
  return {
    name: text(content.name, `${where}.name`),
    width: size(content.width, `${where}.width`),
    height: size(content.height, `${where}.height`),
    focalPx: focal as [number, number],
    centerPx: numbers(content.center_px, 2, `${where}.center_px`) as [number, number],
    worldToCamera: pose(content.world_to_camera, `${where}.world_to_camera`),
    heldOut: flag(content.held_out ?? false, `${where}.held_out`),
    photograph: optional(content.photograph, `${where}.photograph`, asset),
    lens: optional(content.lens, `${where}.lens`, lens),
  };
}

/** Returns a manifest of version 1 from the text of its JSON.
 * @throws PageError saying which entry is wrong, what it is and what was expected. */
export function parseManifest(json: string): Manifest {
  let content: Row;
  try {
    content = row(JSON.parse(json), "the whole");
  } catch (error) {
    if (error instanceof PageError) throw error;
    throw new PageError(`The page's manifest is no JSON (${(error as Error).message}). ${REMEDY}`);
  }
  if (content.hyperfocal_page !== 1) wrong("hyperfocal_page", content.hyperfocal_page, "1, the version this page reads");
  const cameras = content.cameras ?? [];
  if (!Array.isArray(cameras)) wrong("cameras", cameras, "a list");
  const up = optional(content.up, "up", (value, where) => numbers(value, 3, where) as Vec3);
  if (up !== null && Math.hypot(...up) < 1e-9) wrong("up", up, "a direction");
  return {
    title: text(content.title ?? "", "title"),
    metresPerUnit: optional(content.metres_per_unit, "metres_per_unit", positive),
    up,
    colorSpace: oneOf(content.color_space ?? "srgb", "color_space", ["srgb", "linear"] as const),
    scene: asset(content.scene, "scene"),
    sceneName: text(content.scene_name, "scene_name"),
    gaussians: optional(content.gaussians, "gaussians", notNegative),
    background: (optional(content.background, "background", (v, w) => numbers(v, 3, w)) ?? [0, 0, 0]) as Vec3,
    sensorWidthMm: optional(content.sensor_width_mm, "sensor_width_mm", positive) ?? 36,
    cameras: cameras.map((entry, i) => camera(entry, `cameras[${i}]`)),
    live: flag(content.live ?? false, "live"),
  };
}

/** Returns the text of the page's own manifest, or that of manifest.json beside it. */
export async function findManifest(): Promise<string> {
  const element = document.getElementById("hyperfocal-manifest");
  if (element !== null) return element.textContent ?? "";
  return fetchManifest();
}

/** Returns the text of the manifest beside the page. That of a fit has no cameras before there is something to show. */
export async function fetchManifest(): Promise<string> {
  return new TextDecoder().decode(await fetched("manifest.json", () => {}));
}

/** Returns the bytes of an asset. `onProgress` hears the share that has come, 0 to 1. */
export async function bytesOf(what: Asset, onProgress: (share: number) => void = () => {}): Promise<Uint8Array> {
  if (what.embedded === undefined) return fetched(what.url as string, onProgress);
  const element = document.getElementById(what.embedded);
  if (element === null) {
    throw new PageError(`The page has no part "${what.embedded}", which its manifest names: the file is cut. ${REMEDY}`);
  }
  try {
    const bytes = fromBase64((element.textContent ?? "").trim());
    return what.encoding === "gzip" ? await unzipped(bytes) : bytes;
  } catch {
    throw new PageError(`The page's part "${what.embedded}" is damaged and cannot be read. ${REMEDY}`);
  } finally {
    onProgress(1);
  }
}

function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const characters = atob(text);
  const bytes = new Uint8Array(characters.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = characters.charCodeAt(i);
  return bytes;
}

async function unzipped(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Returns an address for `<img>`: that of the file, or of a blob of what is embedded. */
export async function addressOf(what: Asset): Promise<string> {
  if (what.embedded === undefined) return what.url as string;
  const bytes = await bytesOf(what);
  return URL.createObjectURL(new Blob([bytes as BlobPart], { type: what.type || "image/jpeg" }));
}

async function fetched(url: string, onProgress: (share: number) => void): Promise<Uint8Array> {
  let answer: Response;
  try {
    answer = await fetch(url);
  } catch {
    throw new PageError(`${url} could not be loaded: the server does not answer. Is \`hyperfocal view\` still running?`);
  }
  if (!answer.ok) throw new PageError(`${url} could not be loaded: the server says ${answer.status}. ${REMEDY}`);
  const total = Number(answer.headers.get("content-length") ?? 0);
  if (answer.body === null || total === 0) return new Uint8Array(await answer.arrayBuffer());
  const chunks: Uint8Array[] = [];
  let length = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    length += value.length;
    onProgress(Math.min(length / total, 1));
  }
  const bytes = new Uint8Array(length);
  chunks.reduce((at, chunk) => (bytes.set(chunk, at), at + chunk.length), 0);
  return bytes;
}
