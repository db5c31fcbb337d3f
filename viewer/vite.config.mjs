// `vite build` writes the page as one file into the Python package; `--mode test` bundles the unit tests for node.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vite";
import { viteSingleFile } from "vite-plugin-singlefile";

const here = (path) => fileURLToPath(new URL(path, import.meta.url));

const page = {
  root: here("."),
  publicDir: false,
  plugins: [viteSingleFile(), { name: "name-the-page", generateBundle: renamed, enforce: "post" }],
  build: {
    target: "esnext",
    outDir: here("../src/hyperfocal/export"),
    emptyOutDir: false, // it is a Python package
    reportCompressedSize: false,
  },
};

const tests = {
  root: here("."),
  build: {
    ssr: true,
    target: "esnext",
    outDir: here("node_modules/.test"),
    emptyOutDir: true,
    rollupOptions: { input: readdirSync(here("test")).map((name) => here(`test/${name}`)) },
  },
};

function renamed(_, bundle) {
  for (const file of Object.values(bundle)) if (file.fileName === "index.html") file.fileName = "page.html";
}

export default defineConfig(({ mode }) => ({ logLevel: "warn", ...(mode === "test" ? tests : page) }));
