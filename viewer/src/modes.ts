// What becomes of the splats' colour and depth on the canvas: the picture, or a map that explains it.

import {
  Mesh, NoBlending, OrthographicCamera, PlaneGeometry, Scene, ShaderMaterial, type Texture, Vector2, Vector3,
  type WebGLRenderer,
} from "three";
import { circleTerms, type Lens } from "./lens";

export const MODES = ["color", "depth", "circle", "peaking"] as const;
export type Mode = (typeof MODES)[number];

/** Scales of the maps: depths even in 1/z, circles in pixels across. */
export interface Range {
  near: number;
  far: number;
  maxCirclePx: number;
}

type Rgb = [number, number, number];

// Told apart by lightness alone, near to far; and by hue with every colour blindness, before to behind the focus.
const DEPTH_STOPS: Rgb[] = [
  [255, 246, 210], [253, 202, 122], [242, 134, 88], [194, 72, 108], [122, 40, 122], [48, 18, 78],
];
const CIRCLE_STOPS: Rgb[] = [[8, 62, 140], [92, 152, 214], [255, 255, 255], [242, 156, 66], [166, 70, 0]];
const UNKNOWN: Rgb = [128, 128, 128];
const PEAK: Rgb = [255, 230, 0];
/** A circle of at most this is in focus: it is inside a pixel. */
export const SHARP_CIRCLE_PX = 1;

/** Colour of a depth, bytes: 0 is near, 1 far. */
export const depthColor = (t: number): Rgb => along(DEPTH_STOPS, t);
/** Colour of a circle of confusion, bytes: -1 is the largest before the focus, 0 sharp, 1 the largest behind. */
export const circleColor = (t: number): Rgb => along(CIRCLE_STOPS, (t + 1) / 2);

function along(stops: Rgb[], t: number): Rgb {
  const place = Math.min(1, Math.max(0, t)) * (stops.length - 1);
  const first = Math.min(stops.length - 2, Math.floor(place));
  return stops[first]!.map((low, k) => low + (stops[first + 1]![k]! - low) * (place - first)) as Rgb;
}

const glslColor = (color: Rgb) => `vec3(${color.map((byte) => (byte / 255).toFixed(6)).join(", ")})`;
const glslRamp = (name: string, stops: Rgb[]) => `
vec3 ${name}(float t) {
  const vec3 stops[${stops.length}] = vec3[](${stops.map(glslColor).join(", ")});
  float place = clamp(t, 0.0, 1.0) * ${(stops.length - 1).toFixed(1)};
  int first = min(${stops.length - 2}, int(place));
  return mix(stops[first], stops[first + 1], place - float(first));
}`;

const FRAGMENT = `
uniform sampler2D colors, depths;
uniform int mode;
uniform vec3 background;
uniform bool linearLight;
uniform vec2 circle; // aperture times focal length, and the same over the focus distance
uniform vec3 range; // 1 / near, 1 / far, largest circle
out vec4 shown;
${glslRamp("depthColor", DEPTH_STOPS)}
${glslRamp("circleColor", CIRCLE_STOPS)}
vec3 encoded(vec3 light) {
  return mix(12.92 * light, 1.055 * pow(max(light, 0.0031308), vec3(1.0 / 2.4)) - 0.055, step(0.0031308, light));
}
vec3 decoded(vec3 value) {
  return mix(value / 12.92, pow((max(value, 0.04045) + 0.055) / 1.055, vec3(2.4)), step(0.04045, value));
}
vec3 picture(ivec2 at) {
  vec4 drawn = texelFetch(colors, clamp(at, ivec2(0), textureSize(colors, 0) - 1), 0);
  vec3 seen = clamp(drawn.rgb + (1.0 - drawn.a) * (linearLight ? decoded(background) : background), 0.0, 1.0);
  return linearLight ? encoded(seen) : seen;
}
float light(ivec2 at) { return dot(picture(at), vec3(0.299, 0.587, 0.114)); }
void main() {
  ivec2 at = ivec2(gl_FragCoord.xy);
  shown = vec4(0.0, 0.0, 0.0, 1.0);
  if (mode == 0) { shown.rgb = picture(at); return; }
  vec2 depth = texelFetch(depths, at, 0).ra;
  bool known = depth.y > 0.5;
  float inverse = depth.y / max(depth.x, 1e-30);
  float across = circle.y - circle.x * inverse;
  if (mode == 1) {
    shown.rgb = known ? depthColor((range.x - inverse) / (range.x - range.y)) : ${glslColor(UNKNOWN)};
  } else if (mode == 2) {
    shown.rgb = known ? circleColor(0.5 + 0.5 * across / range.z) : ${glslColor(UNKNOWN)};
  } else {
    vec2 right = vec2(light(at + ivec2(1, 0)), light(at + ivec2(0, 1)));
    vec2 left = vec2(light(at - ivec2(1, 0)), light(at - ivec2(0, 1)));
    float detail = smoothstep(0.04, 0.12, length(right - left));
    vec3 grey = mix(vec3(light(at)), picture(at), 0.3) * 0.8;
    shown.rgb = mix(grey, ${glslColor(PEAK)}, known && abs(across) <= ${SHARP_CIRCLE_PX.toFixed(1)} ? detail : 0.0);
  }
}`;

/** The last step of a picture: from targets of floats to the canvas. */
export class Develop {
  background: Rgb = [0, 0, 0];
  linearLight = false;
  range: Range = { near: 0.1, far: 10, maxCirclePx: 20 };
  private readonly uniforms = {
    colors: { value: null as Texture | null },
    depths: { value: null as Texture | null },
    mode: { value: 0 },
    background: { value: new Vector3() },
    linearLight: { value: false },
    circle: { value: new Vector2() },
    range: { value: new Vector3() },
  };
  private readonly scene = new Scene();
  private readonly camera = new OrthographicCamera(-1, 1, 1, -1, 0, 1);

  constructor() {
    const material = new ShaderMaterial({
      glslVersion: "300 es",
      uniforms: this.uniforms,
      vertexShader: "void main() { gl_Position = vec4(position.xy, 0.0, 1.0); }",
      fragmentShader: FRAGMENT,
      blending: NoBlending,
      depthTest: false,
      depthWrite: false,
    });
    const quad = new Mesh(new PlaneGeometry(2, 2), material);
    quad.frustumCulled = false;
    this.scene.add(quad);
  }

  /** What a picture depends on besides lens and mode. */
  settings(): unknown {
    return [this.background, this.linearLight, this.range];
  }

  /** Draw to the canvas. `focalPx` is that of circles. */
  draw(renderer: WebGLRenderer, mode: Mode, lens: Lens, focalPx: number, colors: Texture, depths: Texture): void {
    const { uniforms, range } = this;
    uniforms.colors.value = colors;
    uniforms.depths.value = depths;
    uniforms.mode.value = MODES.indexOf(mode);
    uniforms.background.value.set(...this.background);
    uniforms.linearLight.value = this.linearLight;
    uniforms.circle.value.set(...circleTerms(lens, focalPx));
    uniforms.range.value.set(1 / range.near, 1 / range.far, range.maxCirclePx);
    renderer.setRenderTarget(null);
    renderer.render(this.scene, this.camera);
  }
}
