import assert from "node:assert/strict";
import { test } from "node:test";
import { PageError, parseManifest } from "../src/manifest";

const CAMERA = {
  name: "a.jpg", width: 30, height: 20, focal_px: [25, 25], center_px: [15, 10],
  world_to_camera: [[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]],
  held_out: false, photograph: { url: "photographs/a.jpg" },
  lens: { aperture_diameter: 0.1, focus: "distance", focus_distance: 2, focus_sigma: null, f_number: null, circle_px: null, streak_px: null },
};
const GOOD = { hyperfocal_page: 1, scene: { url: "scene.ply" }, scene_name: "scene.ply", cameras: [CAMERA] };

/** What the page says about a manifest that is good but for one entry. */
function saidOf(change: object): string {
  try {
    parseManifest(JSON.stringify({ ...GOOD, ...change }));
  } catch (error) {
    assert.ok(error instanceof PageError, "a PageError and no other");
    return error.message;
  }
  return "";
}

const withCamera = (change: object) => saidOf({ cameras: [{ ...CAMERA, ...change }] });

test("a good manifest is read, with what may be left out", () => {
  const manifest = parseManifest(JSON.stringify(GOOD));
  assert.equal(manifest.cameras[0]?.lens?.focusDistance, 2);
  assert.equal(manifest.metresPerUnit, null);
  assert.equal(manifest.sensorWidthMm, 36);
  assert.equal(saidOf({}), "");
});

test("every wrong entry is named, with what it is and what was expected", () => {
  assert.match(saidOf({ hyperfocal_page: 2 }), /hyperfocal_page is 2, expected 1/);
  assert.match(saidOf({ scene: null }), /scene is null, expected an object/);
  assert.match(saidOf({ up: [0, 0, 0] }), /up is \[0,0,0\], expected a direction/);
  assert.match(saidOf({ color_space: "rec2020" }), /color_space is "rec2020", expected "srgb" or "linear"/);
  assert.match(saidOf({ metres_per_unit: -1 }), /metres_per_unit is -1, expected a number above 0/);
  assert.match(withCamera({ focal_px: [25, 0] }), /cameras\[0\]\.focal_px\[1\] is 0/);
  assert.match(withCamera({ width: 1.5 }), /cameras\[0\]\.width is 1.5, expected a whole number of pixels/);
  assert.match(withCamera({ world_to_camera: [[2, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]] }), /expected a rotation/);
  assert.match(withCamera({ lens: { ...CAMERA.lens, focus_distance: null } }), /focus_distance is null/);
  assert.match(withCamera({ lens: { ...CAMERA.lens, focus: "near" } }), /lens\.focus is "near"/);
});

test("files are those beside the page, whatever the manifest says", () => {
  for (const url of ["https://example.org/a.ply", "//example.org/a.ply", "/a.ply", "../a.ply", "a/../../b", "a\\b", "data:,x", ""]) {
    assert.match(saidOf({ scene: { url } }), /scene\.url/, url);
  }
  assert.equal(saidOf({ scene: { embedded: "asset-0", encoding: "gzip" } }), "");
  assert.match(saidOf({ scene: { embedded: "asset-0", encoding: "br" } }), /scene\.encoding is "br", expected "gzip"/);
});

test("a text that is no JSON is said to be none", () => {
  assert.throws(() => parseManifest("{"), PageError);
  assert.throws(() => parseManifest("[]"), PageError);
});
