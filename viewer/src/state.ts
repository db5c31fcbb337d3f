/** What the page shows at this moment, in a photographer's terms, and what follows from it. */

import {
  add, axisOf, centerOf, clamp, lookAt, median, mul, norm, sub, unit, upOf, viewedPoint,
  type Pinhole, type Vec3,
} from "./geometry";
import { apertureDiameterFrom, fNumberFrom, focalLengthMm, type Lens, PINHOLE } from "./lens";
import type { Manifest, Photographed } from "./manifest";

export type Mode = "color" | "depth" | "circle" | "peaking";
export type Compare = "off" | "lens" | "sharp";

export interface Settings {
  /** The camera of the frame: the picture that focal length, path and photographs mean. The window may show more. */
  camera: Pinhole;
  /** Infinity is the pinhole. */
  fNumber: number;
  /** Camera z in scene units; may be Infinity. */
  focusDistance: number;
  sensorMm: number;
  /** Where the scale of the scene is unknown: how far the subject is taken to be. */
  assumedMetres: number;
  mode: Mode;
  /** Number of the photograph whose place the camera stands at. */
  photograph: number | null;
  compare: Compare;
  /** Share of the width, from the left, that shows the photograph. */
  split: number;
}

/** Marked stops in thirds: what a lens says, not the powers of 2 that it means. */
export const STOPS = [
  1, 1.1, 1.2, 1.4, 1.6, 1.8, 2, 2.2, 2.5, 2.8, 3.2, 3.5, 4, 4.5, 5, 5.6, 6.3, 7.1, 8, 9, 10, 11, 13, 14, 16, 18, 20,
  22, Number.POSITIVE_INFINITY,
];
export const FULL_STOPS = [1, 1.4, 2, 2.8, 4, 5.6, 8, 11, 16, 22];

const USUAL_METRES = 2;
const USUAL_STOP = 2.8;
const DEFAULT_FRAME = { width: 1500, height: 1000 };
/** A circle that a viewer takes for a point, as a share of the frame's diagonal. */
const SHARP_SHARE = 1 / 1500;

type Listener = (changed: (key: keyof Settings) => boolean) => void;

export class State {
  readonly up: Vec3;
  /** What the camera turns about. */
  pivot: Vec3;
  /** A usual distance between camera and subject, scene units. */
  readonly reach: number;
  readonly values: Settings;
  readonly #listeners: Listener[] = [];

  constructor(readonly manifest: Manifest, bounds: { center: Vec3; radius: number }) {
    const poses = manifest.cameras.map((c) => c.worldToCamera);
    this.up = unit(manifest.up ?? upOf(poses));
    this.pivot = viewedPoint(poses) ?? this.#ahead(bounds);
    const away = poses.map((p) => norm(sub(centerOf(p), this.pivot)));
    const radius = Math.max(bounds.radius, 1e-6);
    this.reach = poses.length > 0 ? Math.max(median(away), 1e-6) : 2.2 * radius;
    const first = manifest.cameras[0];
    this.values = {
      camera: first ? pinholeOf(first) : this.#front(),
      fNumber: Number.POSITIVE_INFINITY,
      focusDistance: this.reach,
      sensorMm: manifest.sensorWidthMm,
      assumedMetres: this.#assumedMetres(),
      mode: "color",
      photograph: first ? 0 : null,
      compare: "off",
      split: 0.5,
    };
    if (first) Object.assign(this.values, this.lensOfPhotograph(first));
  }

  onChange(listener: Listener): void {
    this.#listeners.push(listener);
  }

  set(patch: Partial<Settings>): void {
    const keys = (Object.keys(patch) as (keyof Settings)[]).filter((key) => patch[key] !== this.values[key]);
    if (keys.length === 0) return;
    Object.assign(this.values, patch);
    for (const listener of this.#listeners) listener((key) => keys.includes(key));
  }

  /** Moves the camera by hand: it stands at no photograph then. */
  move(camera: Pinhole): void {
    this.set({ camera, photograph: null, compare: "off" });
  }

  /** Goes to where a photograph was taken, with the lens that it was taken with, if one was fitted. */
  goTo(index: number): void {
    const photographed = this.manifest.cameras[index];
    if (!photographed) return;
    const kept = photographed.photograph === null ? { compare: "off" as const } : {};
    this.set({ camera: pinholeOf(photographed), photograph: index, ...this.lensOfPhotograph(photographed), ...kept });
  }

  lensOfPhotograph(photographed: Photographed): Partial<Settings> {
    const lens = photographed.lens;
    if (lens === null) return {};
    const focusDistance = lens.focus === "distance" ? (lens.focusDistance ?? this.reach) : Number.POSITIVE_INFINITY;
    if (lens.focus === "everywhere" || lens.apertureDiameter === 0) return { fNumber: Number.POSITIVE_INFINITY };
    return { fNumber: this.fNumberOf(lens.apertureDiameter, pinholeOf(photographed)), focusDistance };
  }

  get metresPerUnit(): number {
    return this.manifest.metresPerUnit ?? this.values.assumedMetres / this.reach;
  }

  get focalMm(): number {
    return this.#focalMm(this.values.camera);
  }

  get apertureDiameter(): number {
    return this.apertureOf(this.values.fNumber, this.values.camera);
  }

  /** The lens that the picture is drawn with. */
  get lens(): Lens {
    const { compare, fNumber, focusDistance } = this.values;
    if (compare === "sharp" || fNumber === Number.POSITIVE_INFINITY) return { ...PINHOLE, focusDistance };
    return { apertureDiameter: this.apertureDiameter, focusDistance };
  }

  apertureOf(fNumber: number, camera: Pinhole): number {
    return apertureDiameterFrom(fNumber, this.#focalMm(camera), this.metresPerUnit);
  }

  fNumberOf(apertureDiameter: number, camera: Pinhole): number {
    return fNumberFrom(apertureDiameter, this.#focalMm(camera), this.metresPerUnit);
  }

  /** How far around 1 / focus distance things look sharp, in 1 / scene units; Infinity for the pinhole. */
  get sharpReach(): number {
    const { camera } = this.values;
    const circle = SHARP_SHARE * Math.hypot(camera.width, camera.height);
    return circle / (this.lens.apertureDiameter * Math.sqrt(camera.focalPx[0] * camera.focalPx[1]));
  }

  /** Zooms: the middle of the picture stays. */
  setFocalMm(mm: number): void {
    const { camera } = this.values;
    const ratio = mm / this.focalMm;
    if (Math.abs(ratio - 1) < 1e-9) return;
    const focalPx: [number, number] = [camera.focalPx[0] * ratio, camera.focalPx[1] * ratio];
    this.move({ ...camera, focalPx });
  }

  /** A length for people: metres where they are known. */
  length(units: number): string {
    if (units === Number.POSITIVE_INFINITY) return "∞";
    const { metresPerUnit } = this.manifest;
    return metresPerUnit === null ? `${digits(units)} units` : `${digits(units * metresPerUnit)} m`;
  }

  #focalMm(camera: Pinhole): number {
    return focalLengthMm(camera.focalPx[0], Math.max(camera.width, camera.height), this.values.sensorMm);
  }

  /** The point before cameras that look in about one direction, as far as the middle of the scene. */
  #ahead(bounds: { center: Vec3 }): Vec3 {
    const poses = this.manifest.cameras.map((c) => c.worldToCamera);
    if (poses.length === 0) return bounds.center;
    const center = mul(poses.map(centerOf).reduce(add), 1 / poses.length);
    const axis = unit(poses.map((p) => axisOf(p, 2)).reduce(add));
    return add(center, mul(axis, Math.max(norm(sub(bounds.center, center)), 1e-6)));
  }

  /** A camera before a scene that came without any. */
  #front(): Pinhole {
    const { width, height } = DEFAULT_FRAME;
    const side = Math.abs(this.up[2]) < 0.9 ? ([0, 0, -1] as Vec3) : ([0, -1, 0] as Vec3);
    const eye = add(this.pivot, mul(unit(add(side, mul(this.up, 0.25))), this.reach));
    const focal = (35 / this.manifest.sensorWidthMm) * width;
    const camera = { focalPx: [focal, focal], centerPx: [width / 2, height / 2], width, height } as const;
    return { ...camera, focalPx: [focal, focal], centerPx: [width / 2, height / 2], worldToCamera: lookAt(eye, this.pivot, this.up) };
  }

  /** Such that the photographs' lenses, if any were fitted, were about f/2.8; else a usual distance. */
  #assumedMetres(): number {
    const open = this.manifest.cameras.filter((c) => c.lens && c.lens.apertureDiameter > 0 && c.lens.focus !== "everywhere");
    if (open.length === 0) return USUAL_METRES;
    const metresPerUnit = open.map((c) => {
      const mm = focalLengthMm(c.focalPx[0], Math.max(c.width, c.height), this.manifest.sensorWidthMm);
      return mm / 1000 / USUAL_STOP / (c.lens?.apertureDiameter ?? 1);
    });
    return Number((median(metresPerUnit) * this.reach).toPrecision(2));
  }
}

export function pinholeOf(photographed: Photographed): Pinhole {
  const { worldToCamera, focalPx, centerPx, width, height } = photographed;
  return { worldToCamera, focalPx, centerPx, width, height };
}

/** Three significant digits, without an exponent. */
export function digits(x: number): string {
  if (x === 0) return "0";
  const places = clamp(2 - Math.floor(Math.log10(Math.abs(x))), 0, 6);
  return x.toFixed(places);
}

/** As a lens is marked: f/2.8, f/11, pinhole. */
export function stopName(fNumber: number): string {
  if (fNumber === Number.POSITIVE_INFINITY) return "pinhole";
  const marked = STOPS.find((stop) => Math.abs(stop / fNumber - 1) < 1e-6);
  if (marked !== undefined) return `f/${marked < 10 ? marked.toFixed(1) : marked}`;
  return `f/${fNumber < 10 ? fNumber.toPrecision(2) : Math.round(fNumber)}`;
}

