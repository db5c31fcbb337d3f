/** The page: reads what to show, builds the controls around the picture and connects them. */

import "./style.css";
import { add, axisOf, centerOf, contained, mul, type Vec3 } from "./geometry";
import { askServer, begun, follow, pageTime } from "./live";
import { bytesOf, fetchManifest, findManifest, type Manifest, PageError, parseManifest } from "./manifest";
import { Presenter } from "./present";
import { SplatView } from "./splats";
import { type Settings, State } from "./state";
import { CameraList, Photographs } from "./ui/cameras";
import { Comparison } from "./ui/compare";
import { download, el, iconButton } from "./ui/dom";
import { Gestures, Hand } from "./ui/gestures";
import { Help, type Key, listen } from "./ui/keys";
import { LensBar } from "./ui/lensbar";
import { Messages } from "./ui/messages";
import { MODES, ModeBar } from "./ui/modebar";
import { PathEditor } from "./ui/patheditor";
import { toggleTheme } from "./ui/theme";

const messages = new Messages();
const canvas = (document.querySelector("canvas") ?? el("canvas")) as HTMLCanvasElement;
canvas.id = "view";
canvas.tabIndex = 0;
canvas.setAttribute("role", "img");
canvas.setAttribute("aria-label", "The scene. Click to focus, drag to turn, press ? for help.");
const reticle = el("div", { class: "reticle", "aria-hidden": "true" });
const stage = el("div", { class: "stage" }, canvas, reticle, messages.element);
const app = el("main", { id: "app" }, stage);
document.body.append(app);

const WAITING = "Waiting for the fit to begin";

async function start(): Promise<Page> {
  messages.progress("Loading", null);
  let manifest = parseManifest(await findManifest());
  let view: SplatView;
  try {
    view = new SplatView(canvas);
  } catch (error) {
    throw new PageError(`This browser cannot draw the scene: it needs WebGL 2 (${(error as Error).message}).`);
  }
  if (manifest.live) {
    messages.wait(WAITING); // words only: a bar that moves would be drawn all the time
    if (!(await begun(askServer, pageTime))) {
      throw new PageError("There is nothing to show: the fit has ended before its first step, or was stopped.");
    }
    manifest = parseManifest(await fetchManifest());
  }
  const began = pageTime.now();
  if (manifest.title) document.title = `${manifest.title} · hyperfocal`;
  view.setBackground(manifest.background);
  view.setColorSpace(manifest.colorSpace);
  const count = manifest.gaussians ? `${manifest.gaussians.toLocaleString("en-GB")} Gaussians` : "the scene";
  const bytes = await bytesOf(manifest.scene, (share) => messages.progress(`Loading ${count}`, share));
  await view.load(bytes, manifest.sceneName, (share: number) => messages.progress(`Reading ${count}`, share));
  const page = new Page(manifest, view);
  await page.presenter.settled();
  messages.done();
  if (manifest.live) void page.follow(pageTime.now() - began);
  return page;
}

class Page {
  readonly state: State;
  readonly presenter: Presenter;
  readonly path: PathEditor;
  readonly #lens: LensBar;
  readonly #compare: Comparison;
  readonly #parts: { update: () => void }[];
  readonly #hand: Hand;
  readonly #help: Help;
  readonly #step = el("p", { class: "step", role: "status" });

  constructor(readonly manifest: Manifest, readonly view: SplatView) {
    this.state = new State(manifest, view.bounds() as { center: Vec3; radius: number });
    this.presenter = new Presenter(view, canvas, this.state);
    const say = (words: string) => messages.say(words);
    const photographs = new Photographs(manifest.cameras);
    const cameras = new CameraList(this.state, photographs);
    const modes = new ModeBar(this.state, this.presenter);
    this.#lens = new LensBar(this.state);
    this.#compare = new Comparison(this.state, this.presenter, photographs, say);
    this.path = new PathEditor(this.state, this.presenter, say);
    this.#hand = new Hand(this.state, this.presenter);
    this.#parts = [this.#lens, modes, cameras, this.#compare];
    const keys = this.#keys();
    this.#help = new Help(keys);
    listen(keys);

    const frame = el("div", { class: "frame", "aria-hidden": "true" });
    const place = () => {
      const { left, top, width, height } = this.presenter.frameBox();
      Object.assign(frame.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
      this.#compare.place();
    };
    new ResizeObserver(place).observe(canvas);
    const has = manifest.cameras.some((c) => c.photograph);
    const tools = el(
      "div", { class: "tools", role: "toolbar", "aria-label": "Tools" },
      ...(manifest.cameras.length > 0 ? [iconButton("photos", "Photographs", "h", () => this.#togglePhotographs())] : []),
      ...(has ? [iconButton("compare", "Compare with the photograph", "c", () => this.#compare.toggle())] : []),
      iconButton("path", "Path of a film", "p", () => this.path.toggle()),
      iconButton("camera", "Save the picture", "s", () => void this.screenshot()),
      iconButton("theme", "Dark or light", "t", toggleTheme),
      iconButton("help", "Keys and gestures", "?", () => this.#help.toggle()),
    );
    const title = el("header", {}, el("h1", {}, manifest.title || "hyperfocal"), ...(manifest.live ? [this.#step] : []));
    stage.append(frame, this.#compare.element, title, tools, modes.element, this.#compare.controls);
    app.append(cameras.element, this.path.element, this.#lens.element);
    document.body.append(this.#help.element);
    document.body.classList.toggle("with-photographs", manifest.cameras.length > 0 && !manifest.live);

    new Gestures(canvas, this.#hand, (x, y) => void this.#focusAt(x, y), (x, y) => void this.#turnAbout(x, y));
    const drawn: (keyof Settings)[] = ["camera", "fNumber", "focusDistance", "sensorMm", "assumedMetres", "mode", "compare"];
    this.state.onChange((changed) => {
      for (const part of this.#parts) part.update();
      if (changed("sensorMm") || changed("assumedMetres")) cameras.relabel();
      if (changed("camera")) {
        reticle.classList.remove("shown");
        place();
      }
      if (drawn.some(changed)) this.presenter.request();
    });
    for (const part of this.#parts) part.update();
    place();
    this.presenter.request();
  }

  /** Shows the scene as it is fitted; camera, lens and mode stay. The picture there now took `tookMs`. */
  async follow(tookMs: number): Promise<void> {
    const show = async () => {
      await this.view.load(await bytesOf(this.manifest.scene), this.manifest.sceneName);
      this.presenter.request();
      await this.presenter.settled();
    };
    const say = (words: string) => {
      if (this.#step.textContent !== words) this.#step.textContent = words;
    };
    await follow(askServer, show, say, pageTime, tookMs);
  }

  /** The picture as it is on the screen, as a PNG file. */
  async screenshot(): Promise<void> {
    await this.presenter.settled();
    const { width, height, rgba } = await this.view.readPixels();
    const copy = el("canvas", { width, height });
    copy.getContext("2d")?.putImageData(new ImageData(new Uint8ClampedArray(rgba), width, height), 0, 0);
    const blob = await new Promise<Blob | null>((done) => copy.toBlob(done, "image/png"));
    if (blob) download(`${(this.manifest.title || "hyperfocal").replace(/[^\w.-]+/g, "_")}.png`, blob);
  }

  async #focusAt(clientX: number, clientY: number): Promise<number | null> {
    const [x, y] = this.presenter.pixelAt(clientX, clientY);
    const box = canvas.getBoundingClientRect();
    Object.assign(reticle.style, { left: `${clientX - box.left}px`, top: `${clientY - box.top}px` });
    reticle.className = "reticle shown asking";
    await this.presenter.settled();
    const depth = await this.view.depthAt(x, y);
    reticle.className = depth === null ? "reticle" : "reticle shown";
    if (depth === null) messages.say("Nothing there to focus on.");
    else {
      this.state.set({ focusDistance: depth });
      if (this.state.lens.apertureDiameter === 0) messages.say("In focus, as all is: open the aperture to see it.");
    }
    return depth;
  }

  /** The point under the cursor becomes what the camera turns about. */
  async #turnAbout(clientX: number, clientY: number): Promise<void> {
    const { camera } = this.state.values;
    const [x, y] = this.presenter.pixelAt(clientX, clientY);
    const depth = await this.view.depthAt(x, y);
    if (depth === null) return;
    const { focalPx, centerPx } = contained(camera, canvas.width, canvas.height);
    const pose = camera.worldToCamera;
    const across = add(
      mul(axisOf(pose, 0), (x - centerPx[0]) / focalPx[0]),
      mul(axisOf(pose, 1), (y - centerPx[1]) / focalPx[1]),
    );
    this.state.pivot = add(centerOf(pose), mul(add(across, axisOf(pose, 2)), depth));
  }

  #togglePhotographs(): void {
    document.body.classList.toggle("with-photographs");
  }

  #turnTo(by: number): void {
    const { cameras } = this.manifest;
    if (cameras.length === 0) return;
    const now = this.state.values.photograph;
    this.state.goTo(now === null ? 0 : (now + by + cameras.length) % cameras.length);
  }

  #keys(): Key[] {
    const turn = 0.06;
    const pan = 30;
    const arrows: Record<string, [number, number]> = {
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    };
    return [
      {
        keys: Object.keys(arrows), shown: "Arrows", words: "turn; with Shift move sideways",
        act: (e) => {
          const [x, y] = arrows[e.key] ?? [0, 0];
          if (e.shiftKey) this.#hand.pan(-x * pan, -y * pan);
          else this.#hand.orbit(x * turn, y * turn);
        },
      },
      { keys: ["+", "=", "-", "_"], shown: "+ −", words: "nearer, farther", act: (e) => this.#hand.dolly("+=".includes(e.key) ? 0.92 : 1 / 0.92) },
      { keys: ["[", "]"], words: "open, close the aperture by a third of a stop", act: (e) => this.#lens.aperture.step(e.key === "[" ? -1 : 1) },
      { keys: [",", "."], words: "focus nearer, farther", act: (e) => this.#lens.focus.step(e.key === "," ? -1 : 1) },
      { keys: ["1", "2", "3", "4"], shown: "1 to 4", words: "colour, depth, blur, peaking", act: (e) => this.state.set({ mode: MODES[Number(e.key) - 1]?.[0] ?? "color" }) },
      { keys: ["b", "n"], words: "photograph before, next photograph", act: (e) => this.#turnTo(e.key === "n" ? 1 : -1) },
      { keys: ["c"], words: "compare with the photograph", act: () => this.#compare.toggle() },
      { keys: ["h"], words: "show or hide the photographs", act: () => this.#togglePhotographs() },
      { keys: ["p"], words: "path of a film", act: () => this.path.toggle() },
      { keys: ["k"], words: "add a keyframe", act: () => this.path.add() },
      { keys: [" "], shown: "Space", words: "preview the film", act: () => void this.path.play() },
      { keys: ["s"], words: "save the picture", act: () => void this.screenshot() },
      { keys: ["t"], words: "dark or light", act: toggleTheme },
      { keys: ["?"], words: "this help", act: () => this.#help.toggle() },
    ];
  }
}

declare global {
  interface Window {
    hyperfocal: {
      ready: Promise<Page>; view?: SplatView; state?: State; path?: PathEditor; settled: () => Promise<void>;
    };
  }
}

canvas.addEventListener("webglcontextlost", () => messages.failed("The graphics driver stopped drawing. Load the page again."));
window.addEventListener("unhandledrejection", ({ reason }) => messages.say(String(reason?.message ?? reason)));
const ready = start();
window.hyperfocal = { ready, settled: async () => (await ready).presenter.settled() };
ready.then(
  (page) => Object.assign(window.hyperfocal, { view: page.view, state: page.state, path: page.path }),
  (error: unknown) => messages.failed(error instanceof Error ? error.message : String(error)),
);
