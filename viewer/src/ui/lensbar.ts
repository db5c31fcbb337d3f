/** The rings of the lens: aperture, focus and focal length, and the sensor behind it. */

import { clamp } from "../geometry";
import { digits, FULL_STOPS, STOPS, stopName, type State } from "../state";
import { Dial, type Mark } from "./dial";
import { el } from "./dom";

const SENSORS: [number, string][] = [
  [53.4, "Medium format 54 mm"], [36, "Full frame 36 mm"], [23.5, "APS-C 23.5 mm"], [17.3, "Four Thirds 17.3 mm"],
  [13.2, "1 inch 13.2 mm"], [9.8, "Phone 9.8 mm"],
];
const CLOSEST = 8; // the ring's near end is this many times nearer than a usual subject
const FOCUS_LENGTH = 1500;
const STOP_STEP = 34; // px between thirds of a stop
const PINHOLE_AT = STOPS.length + 1; // in thirds: a little apart from f/22
const STOP_LENGTH = PINHOLE_AT * STOP_STEP;
const SHORTEST_MM = 8;
const LONGEST_MM = 400;
const FOCALS_MM = [10, 14, 20, 24, 28, 35, 50, 70, 85, 105, 135, 200, 300];
const NICE = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
const MARK_GAP = 44; // px between two numbers on a ring

export class LensBar {
  readonly element: HTMLElement;
  readonly aperture: Dial;
  readonly focus: Dial;
  readonly zoom: Dial;
  readonly #note: HTMLElement;
  readonly #sensor: HTMLSelectElement;
  readonly #assumed: HTMLInputElement | null;

  constructor(readonly state: State) {
    this.aperture = new Dial({
      id: "aperture", label: "Aperture", length: STOP_LENGTH, snaps: true,
      marks: STOPS.map((stop) => ({ at: stopAt(stop), text: stopText(stop) })),
      turn: (at) => state.set({ fNumber: STOPS[Math.round(at * PINHOLE_AT)] ?? Number.POSITIVE_INFINITY }),
    });
    this.focus = new Dial({
      id: "focus", label: "Focus", length: FOCUS_LENGTH, step: 0.004, marks: this.#distances(),
      turn: (at) => state.set({ focusDistance: this.#distanceAt(at) }),
    });
    this.zoom = new Dial({
      id: "focal", label: "Focal length", length: 1100, step: 0.01,
      marks: FOCALS_MM.map((mm) => ({ at: zoomAt(mm), text: String(mm) })),
      turn: (at) => state.setFocalMm(SHORTEST_MM * (LONGEST_MM / SHORTEST_MM) ** at),
    });
    this.#sensor = el("select", {
      id: "sensor", title: "Longer side of the sensor", "aria-label": "Sensor",
      onchange: () => state.set({ sensorMm: Number(this.#sensor.value) }),
    });
    const given = state.values.sensorMm;
    const known = SENSORS.some(([mm]) => mm === given);
    for (const [mm, name] of known ? SENSORS : [[given, `${digits(given)} mm`] as [number, string], ...SENSORS]) {
      this.#sensor.append(el("option", { value: mm }, name));
    }
    this.#note = el("span", { class: "opening", title: "Diameter of the lens's opening" });
    this.#assumed = state.manifest.metresPerUnit === null ? this.#sizeField() : null;
    const small = el("div", { class: "small" }, this.#note, this.#sensor);
    if (this.#assumed) {
      const label = el("label", { class: "assumed" }, "Size unknown: f-numbers take the subject to be ", this.#assumed, " m away");
      small.append(label);
    }
    this.element = el(
      "section", { class: "lensbar", "aria-label": "Lens" },
      this.aperture.element, this.focus.element, this.zoom.element, small,
    );
  }

  update(): void {
    const { state } = this;
    const { fNumber, focusDistance, sensorMm } = state.values;
    const sharp = state.values.compare === "sharp";
    this.aperture.show(stopAt(fNumber), sharp ? "all in focus" : stopName(fNumber));
    const nearest = state.reach / CLOSEST;
    this.focus.show(1 - nearest / focusDistance, state.length(focusDistance), state.sharpReach * nearest);
    const mm = state.focalMm;
    this.zoom.show(zoomAt(mm), `${mm < 100 ? mm.toPrecision(2) : Math.round(mm)} mm`);
    this.#note.textContent = `Opening ${fNumber === Number.POSITIVE_INFINITY ? "none" : this.#opening()}`;
    this.#sensor.value = String(sensorMm);
    if (this.#assumed && document.activeElement !== this.#assumed) this.#assumed.value = String(state.values.assumedMetres);
  }

  #opening(): string {
    const { manifest, apertureDiameter } = this.state;
    if (manifest.metresPerUnit === null) return `⌀ ${digits(apertureDiameter)} units`;
    return `⌀ ${digits(apertureDiameter * manifest.metresPerUnit * 1000)} mm`;
  }

  #sizeField(): HTMLInputElement {
    const field: HTMLInputElement = el("input", {
      id: "assumed", type: "number", min: 0.01, max: 10000, step: "any", "aria-label": "Assumed distance of the subject in metres",
      onchange: () => {
        const metres = Number(field.value);
        if (metres > 0 && Number.isFinite(metres)) this.state.set({ assumedMetres: metres });
        else field.value = String(this.state.values.assumedMetres);
      },
    });
    return field;
  }

  /** The ring is even in 1 / distance, as the blur is; its far end is infinity. */
  #distanceAt(at: number): number {
    const left = 1 - at;
    return left < 1e-4 ? Number.POSITIVE_INFINITY : this.state.reach / CLOSEST / left;
  }

  #distances(): Mark[] {
    const { reach, manifest } = this.state;
    const scale = manifest.metresPerUnit ?? 1;
    const nearest = (reach / CLOSEST) * scale;
    const marks: Mark[] = [{ at: 1, text: "∞" }];
    const taken = [1];
    // Round numbers first: 1, then 2 and 5, then what fits in between.
    for (const digit of [1, 2, 5, ...NICE.filter((n) => ![1, 2, 5].includes(n))]) {
      for (let exponent = -6; exponent < 7; exponent++) {
        const distance = digit * 10 ** exponent;
        const at = 1 - nearest / distance;
        if (at < 0 || taken.some((other) => Math.abs(other - at) * FOCUS_LENGTH < MARK_GAP)) continue;
        taken.push(at);
        marks.push({ at, text: String(Number(distance.toPrecision(2))) });
      }
    }
    return marks;
  }
}

function stopText(stop: number): string {
  if (stop === Number.POSITIVE_INFINITY) return "pinhole";
  if (!FULL_STOPS.includes(stop)) return "";
  return String(stop);
}

/** Where an f-number is on the ring, between the stops too. */
function stopAt(fNumber: number): number {
  if (fNumber === Number.POSITIVE_INFINITY) return 1;
  const exact = STOPS.findIndex((stop) => Math.abs(stop / fNumber - 1) < 1e-6);
  const thirds = exact >= 0 ? exact : clamp(6 * Math.log2(fNumber), 0, STOPS.length - 2);
  return thirds / PINHOLE_AT;
}

const zoomAt = (mm: number): number => Math.log(mm / SHORTEST_MM) / Math.log(LONGEST_MM / SHORTEST_MM);
