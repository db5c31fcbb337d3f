// Draws Gaussians into targets of floats with Spark, set up so that the picture is that of the library's renderer.

import { ExtSplats, SparkRenderer, SplatMesh } from "@sparkjsdev/spark";
import {
  BufferAttribute, type Camera, Color, FloatType, HalfFloatType, type InstancedBufferGeometry, NearestFilter, Scene,
  Vector2, Vector4, WebGLRenderTarget, type WebGLRenderer,
} from "three";
import { slopeLimits, threeCamera, type PinholeCamera, type PixelWindow } from "./camera";
import { circleTerms, PINHOLE, roundFocalPx, type Lens } from "./lens";
import type { Splats } from "./ply";
import { editedFragment, editedVertex, QUADS_AN_INSTANCE } from "./shaders";

const OPTIONS = {
  autoUpdate: false, // sorting is asked for, once for each camera
  preBlurAmount: 0.3, // the low-pass of Gaussians that were not trained with anti-aliasing
  blurAmount: 0,
  sortRadial: false, // by camera z
  accumExtSplats: true, // Spark's short encoding has 8 bits for colours and scales
  enableLod: false,
  minAlpha: 1e-6, // CUT_FLOOR; the cut itself is in the shader
  focalDistance: 1, // the other switch of its lens
  maxStdDev: 4,
  maxPixelRadius: 8192, // larger footprints would lose light
  clipXY: 1e6, // no Gaussian is left out for its centre alone
};

export class SplatPass {
  private readonly spark: SparkRenderer;
  private readonly scene = new Scene();
  private readonly uniforms = {
    splatCount: { value: 0 },
    slopeLimits: { value: new Vector4() },
    circleTerms: { value: new Vector2() },
    drawDepth: { value: false },
  };
  private mesh?: SplatMesh;

  constructor(private readonly renderer: WebGLRenderer) {
    const spark = new SparkRenderer({ renderer, extraUniforms: this.uniforms, depthTest: false, ...OPTIONS });
    spark.material.vertexShader = editedVertex(spark.material.vertexShader);
    spark.material.fragmentShader = editedFragment(spark.material.fragmentShader);
    const geometry = spark.geometry as InstancedBufferGeometry;
    geometry.setAttribute("position", new BufferAttribute(quads(), 3));
    geometry.setIndex(new BufferAttribute(quadIndices(), 1));
    spark.onBeforeRender = (...args) => {
      SparkRenderer.prototype.onBeforeRender.apply(spark, args as Parameters<SparkRenderer["onBeforeRender"]>);
      this.uniforms.splatCount.value = spark.activeSplats;
      geometry.instanceCount = Math.ceil(spark.activeSplats / QUADS_AN_INSTANCE);
    };
    this.spark = spark;
    this.scene.add(spark);
  }

  /** Replace what is drawn. */
  show(splats: Splats): void {
    if (this.mesh) {
      this.scene.remove(this.mesh);
      this.mesh.dispose();
    }
    const { words, count, harmonics } = splats;
    const extSplats = new ExtSplats({ extArrays: words, numSplats: count, extra: { ...harmonics } });
    this.mesh = new SplatMesh({ extSplats, raycastable: false, editable: false });
    this.scene.add(this.mesh);
  }

  /** Sort and colour the Gaussians as they are seen from here; what is drawn next is of this place. */
  async sort(camera: PinholeCamera): Promise<void> {
    await this.spark.update({ scene: this.scene, camera: threeCamera(camera) });
  }

  /** Draw into `target`, which covers a window of the picture: colour times coverage, or camera z times coverage. */
  draw(
    target: WebGLRenderTarget,
    what: "color" | "depth",
    camera: PinholeCamera,
    lens: Lens = PINHOLE,
    window?: PixelWindow,
  ): void {
    this.spark.apertureAngle = lens.apertureDiameter > 0 ? 1 : 0; // no more than a switch: the shader has its own rule
    this.uniforms.circleTerms.value.set(...circleTerms(lens, roundFocalPx(camera.focalPx)));
    this.uniforms.slopeLimits.value = slopeLimits(camera);
    this.uniforms.drawDepth.value = what === "depth";
    this.renderer.setRenderTarget(target);
    this.renderer.setClearColor(new Color(0), 0);
    this.renderer.clear();
    this.renderer.render(this.scene, threeCamera(camera, window) as Camera);
    this.renderer.setRenderTarget(null);
  }
}

/** A target of floats, single ones where they can be blended: 8 bits would round faint contributions away. */
export function floatTarget(renderer: WebGLRenderer, width: number, height: number): WebGLRenderTarget {
  const single = renderer.extensions.has("EXT_color_buffer_float") && renderer.extensions.has("EXT_float_blend");
  return new WebGLRenderTarget(width, height, {
    type: single ? FloatType : HalfFloatType,
    minFilter: NearestFilter,
    magFilter: NearestFilter,
    depthBuffer: false,
  });
}

function quads(): Float32Array {
  const corners = [-1, -1, 0, 1, -1, 0, 1, 1, 0, -1, 1, 0];
  return Float32Array.from({ length: 12 * QUADS_AN_INSTANCE }, (_, i) => corners[i % 12]!);
}

function quadIndices(): Uint16Array {
  const corners = [0, 1, 2, 0, 2, 3];
  return Uint16Array.from({ length: 6 * QUADS_AN_INSTANCE }, (_, i) => 4 * Math.floor(i / 6) + corners[i % 6]!);
}
