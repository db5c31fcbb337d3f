// The header of a PLY file: which elements it has, and where their numbers are.

/** The rows of one element, as functions from the row to the number. */
export interface Element {
  count: number;
  names: string[];
  has(property: string): boolean;
  column(property: string): (row: number) => number;
}

type Read = (view: DataView, at: number) => number;

const BYTES: Record<string, [number, Read]> = {
  int8: [1, (v, at) => v.getInt8(at)],
  uint8: [1, (v, at) => v.getUint8(at)],
  int16: [2, (v, at) => v.getInt16(at, true)],
  uint16: [2, (v, at) => v.getUint16(at, true)],
  int32: [4, (v, at) => v.getInt32(at, true)],
  uint32: [4, (v, at) => v.getUint32(at, true)],
  float32: [4, (v, at) => v.getFloat32(at, true)],
  float64: [8, (v, at) => v.getFloat64(at, true)],
};
const ALIASES: Record<string, string> = {
  char: "int8", uchar: "uint8", short: "int16", ushort: "uint16",
  int: "int32", uint: "uint32", float: "float32", double: "float64",
};
const LONGEST_HEADER = 65536;

/** Throws an Error whose message is meant for people. */
export function elementsOf(bytes: Uint8Array, name: string): Map<string, Element> {
  const bad = (got: string, expected: string) =>
    new Error(
      `${name} is not a PLY file of 3D Gaussians: ${got}; expected ${expected}. Choose a binary PLY that ` +
        "hyperfocal or another trainer wrote.",
    );
  const text = new TextDecoder("latin1").decode(bytes.subarray(0, LONGEST_HEADER));
  if (!/^ply\r?\n/.test(text)) throw bad("it does not start with 'ply'", "a PLY file");
  const end = /\nend_header\r?\n/.exec(text);
  if (!end) throw bad("its header does not end", "'end_header'");
  let at = end.index + end[0].length;
  const lines = text.slice(0, end.index).split(/\r?\n/).slice(1);
  if (!lines.some((line) => line.trim() === "format binary_little_endian 1.0"))
    throw bad("its format is another", "binary_little_endian 1.0");

  const listed: { name: string; count: number; row: number; places: Map<string, [number, Read]> }[] = [];
  for (const words of lines.map((line) => line.trim().split(/\s+/))) {
    const current = listed.at(-1);
    if (words[0] === "element" && /^\d{1,10}$/.test(words[2] ?? "")) {
      listed.push({ name: words[1]!, count: Number(words[2]), row: 0, places: new Map() });
    } else if (words[0] === "property" && current) {
      const type = BYTES[ALIASES[words[1]!] ?? words[1]!];
      if (!type || !words[2]) throw bad(`a property '${words.slice(1).join(" ")}'`, "numbers of a fixed size");
      current.places.set(words[2], [current.row, type[1]]);
      current.row += type[0];
    } else if (words[0] === "element" || words[0] === "property") {
      throw bad(`a header line '${words.join(" ")}'`, "'element NAME COUNT' or 'property TYPE NAME'");
    }
  }

  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const elements = new Map<string, Element>();
  for (const { name: element, count, row, places } of listed) {
    const start = at;
    at += count * row;
    if (at > bytes.length) {
      const whole = Math.max(0, Math.floor((bytes.length - start) / row));
      throw bad(`it ends after ${whole} of ${count} rows of '${element}'`, "all of them (was it cut short?)");
    }
    elements.set(element, {
      count,
      names: [...places.keys()],
      has: (property) => places.has(property),
      column(property) {
        const place = places.get(property);
        if (!place) throw bad(`'${element}' has no property '${property}'`, "one");
        const [offset, read] = place;
        return (i) => read(view, start + i * row + offset);
      },
    });
  }
  return elements;
}
