// Event streams by Smithy's codec: frames.mjs SEED COUNT. A line each: hex, a blank, and what is in it as bedrock_lines says
// it. Every third one is damaged, and only the codec's own reading says whether that shows.
import { EventStreamCodec } from "@smithy/eventstream-codec";

let [seed, count] = process.argv.slice(2).map(Number);
const codec = new EventStreamCodec((bytes) => Buffer.from(bytes).toString("utf8"), (text) => Buffer.from(text, "utf8"));
const hex = (bytes) => Buffer.from(bytes).toString("hex");

function random(below) { // mulberry32
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) % below;
}

const bytes = (size) => Uint8Array.from({ length: size }, () => random(256));
const signed = (size) => Buffer.from(bytes(size));
const long = () => signed(8);

// type on the wire, Smithy's header, number and bytes as bedrock_lines prints them
const makers = [
  () => [0, { type: "boolean", value: true }, 0n, ""],
  () => [1, { type: "boolean", value: false }, 0n, ""],
  () => { const b = signed(1); return [2, { type: "byte", value: b.readInt8() }, BigInt(b.readInt8()), hex(b)]; },
  () => { const b = signed(2); return [3, { type: "short", value: b.readInt16BE() }, BigInt(b.readInt16BE()), hex(b)]; },
  () => { const b = signed(4); return [4, { type: "integer", value: b.readInt32BE() }, BigInt(b.readInt32BE()), hex(b)]; },
  () => { const b = long(); return [5, { type: "long", value: { bytes: b, valueOf: () => 0 } }, b.readBigInt64BE(), hex(b)]; },
  () => { const b = bytes(random(70)); return [6, { type: "binary", value: b }, 0n, hex(b)]; },
  () => { const text = "é".repeat(random(40)); return [7, { type: "string", value: text }, 0n, hex(Buffer.from(text))]; },
  () => { const at = random(2 ** 31) * 1000; const b = Buffer.alloc(8); b.writeBigInt64BE(BigInt(at));
          return [8, { type: "timestamp", value: new Date(at) }, BigInt(at), hex(b)]; },
  () => { const b = hex(bytes(16)); return [9, { type: "uuid", value: b.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-") }, 0n, b]; },
];

function message() {
  const headers = {};
  let text = "";
  for (let i = random(6); i > 0; i--) {
    const name = ":" + "n".repeat(1 + random(30)) + i;
    const [type, header, number, value] = makers[random(makers.length)]();
    headers[name] = header;
    text += `${name}/${type}=${number}/${value},`;
  }
  const body = bytes(random(400));
  return [codec.encode({ headers, body }), `${text}|${hex(body)} `];
}

function reads(frame) {
  try {
    codec.decode(frame);
    return true;
  } catch {
    return false;
  }
}

for (let i = 0; i < count; i++) {
  const [frame, text] = message();
  let says = text + "OK";
  if (i % 3 === 0) {
    frame[random(frame.length)] ^= 1 << random(8);
    says = reads(frame) ? "?" : "BAD";
  }
  console.log(`${hex(frame)} ${says}`);
}
