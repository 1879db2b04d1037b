"use strict";
const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (name) => document.getElementById(name);
const [HEIGHT, WIDTH, CHANNELS] = DATA.shape;
let session = null, ort = null;
let ends = [], next = 0;

// ------------------------------------------------------------------ what is packed into the page

async function unpacked(text) {
  const packed = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function start() {
  const script = URL.createObjectURL(new Blob([await unpacked(DATA.script)], { type: "text/javascript" }));
  ort = await import(script);
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmBinary = await unpacked(DATA.binary);
  session = await ort.InferenceSession.create(await unpacked(DATA.model), { executionProviders: ["wasm"] });
  DATA.script = DATA.binary = DATA.model = null;
}

// ------------------------------------------------------------------ latents

// mulberry32, a small generator of random bits, and Box and Muller's normal numbers of them.
function normal(seed, count) {
  let a = (seed ^ 0x9e3779b9) >>> 0;
  const uniform = () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
  };
  const numbers = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const r = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
    numbers[i] = r * Math.cos(angle);
    if (i + 1 < count) numbers[i + 1] = r * Math.sin(angle);
  }
  return numbers;
}

// The great arc between two latents (White 2016), as `ganforge sample --interpolate` walks it.
function between(a, b, t) {
  let dot = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) { dot += a[i] * b[i]; aa += a[i] * a[i]; bb += b[i] * b[i]; }
  const angle = Math.acos(Math.min(1, Math.max(-1, dot / Math.max(Math.sqrt(aa) * Math.sqrt(bb), 1e-12))));
  const sine = Math.sin(angle);
  const [u, v] = sine < 1e-6 ? [1 - t, t] : [Math.sin((1 - t) * angle) / sine, Math.sin(t * angle) / sine];
  return a.map((x, i) => u * x + v * b[i]);
}

// ------------------------------------------------------------------ pictures

// Latents, one after another, and a class of each, to bytes (n, HEIGHT, WIDTH, CHANNELS). One batch after another.
let last = Promise.resolve();
function draw(latents, labels) {
  last = last.catch(() => null).then(async () => {
    const n = latents.length / DATA.latents;
    const feeds = { latents: new ort.Tensor("float32", latents, [n, DATA.latents]) };
    if (DATA.classes.length) feeds.labels = new ort.Tensor("int32", Int32Array.from(labels), [n]);
    const made = (await session.run(feeds)).pictures.data;
    const bytes = new Uint8ClampedArray(made.length); // rounds, and clips
    for (let i = 0; i < made.length; i++) bytes[i] = (made[i] + 1) * 127.5;
    return bytes;
  });
  return last;
}

function paint(canvas, bytes, index) {
  const pixels = HEIGHT * WIDTH, from = index * pixels * CHANNELS;
  const image = new ImageData(WIDTH, HEIGHT);
  for (let i = 0; i < pixels; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = bytes[from + i * CHANNELS + (CHANNELS < 3 ? 0 : c)];
    image.data[4 * i + 3] = CHANNELS === 4 ? bytes[from + i * CHANNELS + 3] : 255;
  }
  canvas.width = WIDTH; canvas.height = HEIGHT;
  canvas.getContext("2d").putImageData(image, 0, 0);
}

const joined = (list) => { const all = new Float32Array(list.length * DATA.latents); list.forEach((z, i) => all.set(z, i * DATA.latents)); return all; };
const label = () => Number(byId("class").value || 0);
const scaled = (z) => z.map((x) => x * Number(byId("variety").value));

let walking = false, again = false;
async function walk() {
  if (walking) { again = true; return; }
  walking = true;
  do {
    again = false;
    const t = Number(byId("between").value);
    const z = joined([ends[0], between(ends[0], ends[1], t), ends[1]].map(scaled));
    const bytes = await draw(z, [label(), label(), label()]);
    ["first", "middle", "second"].forEach((name, i) => paint(byId(name), bytes, i));
    byId("at").textContent = `${Math.round(100 * t)} % of the way`;
  } while (again);
  walking = false;
}

let sheet = [];
async function refresh() {
  const bytes = await draw(joined(sheet.map(scaled)), sheet.map(label));
  byId("sheet").querySelectorAll("canvas").forEach((canvas, i) => paint(canvas, bytes, i));
}

function fill() {
  const seed = crypto.getRandomValues(new Uint32Array(1))[0];
  const buttons = [];
  sheet = Array.from({ length: DATA.count }, (_, i) => normal((seed + i) >>> 0, DATA.latents));
  sheet.forEach((z, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.setAttribute("aria-label", `picture ${i + 1}`);
    button.append(document.createElement("canvas"));
    button.addEventListener("click", () => {
      ends[next] = z;
      byId(["from", "to"][next]).value = (seed + i) >>> 0;
      next = 1 - next;
      walk();
    });
    buttons.push(button);
  });
  byId("sheet").replaceChildren(...buttons);
  return refresh();
}

const seeded = (name, i) => { ends[i] = normal(Number(byId(name).value) >>> 0, DATA.latents); };

async function main() {
  byId("about").textContent = DATA.about;
  byId("made").textContent = DATA.made;
  DATA.classes.forEach((name, i) => byId("class").append(new Option(name, i)));
  byId("class-label").hidden = !DATA.classes.length;
  try {
    if (typeof DecompressionStream === "undefined") throw new Error("the browser is too old; use a version from 2023 or later");
    await start();
    seeded("from", 0); seeded("to", 1);
    byId("new").disabled = false;
    byId("new").addEventListener("click", fill);
    byId("between").addEventListener("input", walk);
    ["from", "to"].forEach((name, i) => byId(name).addEventListener("input", () => { seeded(name, i); walk(); }));
    ["class", "variety"].forEach((name) => byId(name).addEventListener("input", () => { walk(); refresh(); }));
    await walk();
    await fill();
    byId("state").textContent = "All pictures are computed in this page, on your machine.";
    document.documentElement.dataset.state = "ready";
  } catch (error) {
    byId("state").textContent = `This page cannot draw pictures in this browser: ${error.message || error}`;
    document.documentElement.dataset.state = "failed";
  }
}
main();
