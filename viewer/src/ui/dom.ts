/** Small helpers that make elements. */

type Attributes = Record<string, string | number | boolean | EventListener | ((event: never) => void)>;

/** An element with attributes (`on...` are listeners, true and false mean there or not) and children. */
export function el<K extends keyof HTMLElementTagNameMap>(
  tag: K, attributes: Attributes = {}, ...children: (Node | string)[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value as EventListener);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false) element.setAttribute(name, String(value));
  }
  element.append(...children);
  return element;
}

const ICONS = {
  camera: "M3 8h4l2-3h6l2 3h4v11H3zM12 10a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7z",
  compare: "M4 5h16v14H4zM12 3v18M8.5 12 6.5 12M17.5 12h-2",
  path: "M4 18c5 0 4-11 9-11s3 6 7 6M4 18h.01M20 13h.01M13 7h.01",
  photos: "M3 6h14v12H3zM7 3h14v12M3 15l4-4 3 3 2-2 5 5",
  theme: "M12 4a8 8 0 1 0 0 16zM12 4a8 8 0 0 1 0 16",
  help: "M9 9a3 3 0 1 1 4.5 2.6c-1 .6-1.5 1.2-1.5 2.4M12 17.5h.01",
  play: "M7 5l11 7-11 7z",
  stop: "M7 7h10v10H7z",
  plus: "M12 5v14M5 12h14",
  save: "M12 4v11M7 11l5 5 5-5M5 20h14",
  trash: "M5 7h14M9 7V4h6v3M7 7l1 13h8l1-13",
  set: "M5 12l5 5 9-10",
  close: "M6 6l12 12M18 6L6 18",
} as const;

export type IconName = keyof typeof ICONS;

export function icon(name: IconName): SVGSVGElement {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

/** A button with a picture; its words are for screen readers and the tooltip, with the key that does the same. */
export function iconButton(name: IconName, label: string, key: string, onclick: () => void): HTMLButtonElement {
  const title = key ? `${label} (${key})` : label;
  return el("button", { class: "icon", type: "button", "aria-label": label, title, onclick }, icon(name));
}

/** A row of buttons of which one is pressed. */
export class Choice<T extends string> {
  readonly element: HTMLElement;
  readonly #buttons = new Map<T, HTMLButtonElement>();

  constructor(label: string, options: [T, string, string?][], choose: (value: T) => void) {
    this.element = el("div", { class: "choice", role: "group", "aria-label": label });
    for (const [value, words, title] of options) {
      const attributes = { type: "button", title: title ?? words, "data-value": value, onclick: () => choose(value) };
      const button = el("button", attributes, words);
      this.#buttons.set(value, button);
      this.element.append(button);
    }
  }

  name(value: T, words: string): void {
    const button = this.#buttons.get(value);
    if (button) button.textContent = words;
  }

  show(value: T): void {
    for (const [key, button] of this.#buttons) button.setAttribute("aria-pressed", String(key === value));
  }
}

/** Gives the person a file. */
export function download(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
