// Spark's splat shaders with the changes that make its picture that of the library's renderer (render/reference.py).
//
// Spark takes other shaders as an option, but does not export its own, so they are edited in place before they are
// compiled. Every edit names the text that it replaces and fails loudly if a new version of Spark has another.

/** Quads in one instance: one at a time is slow on software renderers (2 to 4 times) and on some GPUs. */
export const QUADS_AN_INSTANCE = 1024;

type Edit = [find: string, put: string];

const VERTEX: Edit[] = [
  ["flat out float adjustedStdDev;", `
flat out float adjustedStdDev;
flat out float viewZ;
flat out vec2 centerPx;
flat out vec3 precisionPx;
uniform int splatCount;
uniform vec4 slopeLimits;
uniform vec2 circleTerms;`],
  ["ivec2 orderingCoord = ivec2((gl_InstanceID >> 2) & 4095, gl_InstanceID >> 14);", `
    int number = gl_InstanceID * ${QUADS_AN_INSTANCE} + (gl_VertexID >> 2);
    if (number >= splatCount) return;
    ivec2 orderingCoord = ivec2((number >> 2) & 4095, number >> 14);`],
  ["[gl_InstanceID & 3]", "[number & 3]"],
  // The cut at alpha = 1/255 of the sharp footprint, so that the same share of light is kept at every blur.
  ["adjustedStdDev = maxStdDev;", `
    if (255.0 * rgba.a <= 1.0) return;
    adjustedStdDev = sqrt(2.0 * log(255.0 * rgba.a));`],
  ["vRgba = rgba;", "vRgba = rgba; viewZ = -viewCenter.z;"],
  // Beyond a margin around the picture the linearisation of the projection is frozen, as it explodes there.
  ["vec2 J2 = -(J1 * viewCenter.xy) * invZ;", `
        vec2 frozen = clamp(viewCenter.xy * -invZ, slopeLimits.xy, slopeLimits.zw) / -invZ;
        vec2 J2 = -(J1 * frozen) * invZ;`],
  // A quarter of the circle of confusion in place of Spark's rule, which has the tangent of a tiny angle in it.
  ["float focusBlur = abs((-viewCenter.z - focalDistance) / viewCenter.z);",
    "float focusBlur = 0.25 * abs(circleTerms.y + circleTerms.x / viewCenter.z);"],
  ["float apertureRadius = focal.x * tan(0.5 * apertureAngle);", "float apertureRadius = 1.0;"],
  // The fragment evaluates the Gaussian at its own place: corners of quads are rounded to as little as 1/16 of a pixel.
  ["vNdc = ndc;\n    gl_Position", `
    vNdc = ndc;
    centerPx = (0.5 * ndcCenter.xy + 0.5) * renderSize;
    precisionPx = vec3(d, -b, a) / det;
    gl_Position`],
  ["vec2 pixelOffset = position.x", `
    scale1 += 0.25;
    scale2 += 0.25;
    vec2 pixelOffset = position.x`],
];

const FRAGMENT: Edit[] = [
  ["flat in float adjustedStdDev;", `
flat in float adjustedStdDev;
flat in float viewZ;
flat in vec2 centerPx;
flat in vec3 precisionPx;
uniform bool drawDepth;`],
  ["float z2 = dot(vSplatUv, vSplatUv);", `
    vec2 off = gl_FragCoord.xy - centerPx;
    float z2 = dot(precisionPx, vec3(off.x * off.x, 2.0 * off.x * off.y, off.y * off.y));`],
  ["if (rgba.a < minAlpha)", `
    rgba.a = min(rgba.a, 0.999);
    if (rgba.a < minAlpha)`],
  // Colours are blended as they are stored, in floats; `Develop` makes display values of the sum.
  ["if (encodeLinear)", `
    if (drawDepth) rgba.rgb = vec3(viewZ);
    if (false)`],
];

function edited(source: string, edits: Edit[]): string {
  for (const [find, put] of edits) {
    if (source.split(find).length !== 2)
      throw new Error(`Spark's shader has '${find}' not once. Use the version of Spark that package.json names.`);
    source = source.replace(find, () => put);
  }
  return source;
}

export const editedVertex = (source: string): string => edited(source, VERTEX);
export const editedFragment = (source: string): string => edited(source, FRAGMENT);
