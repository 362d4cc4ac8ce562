// What the page shows and how it is worked; the noise and the networks are above.
"use strict";

const MOST = 200; // attacks
const CURVE = Array.from({ length: 21 }, (_, i) => 10 * i); // attacks at which the curves are computed
const PEN = 1.5; // pixels: half of the usual width of MNIST's strokes
const BOX = 20; // pixels of an MNIST digit's longer side
const NAMES = {
  random_pixel_invert: ["Random Pixel Invert", "Any pixel: a bright one (above 127) becomes (255 − b) / c, another 255 − b / c."],
  white_to_black: ["White to Black", "A pixel of the digit (above 0) becomes (255 − b) / c."],
  black_to_white: ["Black to White", "A pixel of the background (below 100) becomes 255 − b / c."],
  edge_to_altered: ["Edge to Altered", "A pixel at the digit's edge becomes (255 − b) / c if bright (above 127), else 255 − b / c."],
};
const MODES = ["frozen", "adapted"];
const WORDS = { frozen: "as trained", adapted: "adapted" };

const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const state = { image: null, label: 0, guessed: false, index: 0, drawn: false, noise: "black_to_white", c: 2, attacks: 100, draw: 0 };
let networks = [];
let digits = [];

const key = () => BigInt(content.noises[state.noise].keys[state.draw]);
const attacked = (attacks) => perturb(state.image, state.noise, attacks, state.c, key(), state.index);
const percent = (p) => `${(100 * p).toFixed(p < 0.0995 || p >= 0.9995 || p < 0.995 ? 0 : 1)} %`;

/** A network's logits for an image after so many attacks, its statistics as trained or adapted to the chosen noise. */
function read(network, image, attacks, mode) {
  return logits(network, image, mode === "frozen" ? null : state.noise, attacks, content.levels);
}

function make(tag, attributes = {}, ...children) {
  const element = tag.startsWith("svg:") ? document.createElementNS("http://www.w3.org/2000/svg", tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function paint(canvas, image) {
  const pixels = new ImageData(SIDE, SIDE);
  image.forEach((b, p) => pixels.data.set([b, b, b, 255], 4 * p));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

// Choosing and drawing

function choose(index) {
  Object.assign(state, { image: digits[index], label: content.labels[index], index, drawn: false, guessed: false });
  $("number").value = index;
  pad.clear();
  render();
}

/** Strokes, lists of points [x, y], as an MNIST digit: 20 pixels high or wide, centre of mass in the middle. */
function fromStrokes(strokes) {
  const points = strokes.flat();
  const [low, high] = [Math.min, Math.max].map((end) => [0, 1].map((axis) => end(...points.map((point) => point[axis]))));
  const extent = Math.max(high[0] - low[0], high[1] - low[1], 0.2); // a dot stays a dot
  const scaled = strokes.map((stroke) => stroke.map((p) => p.map((v, axis) => ((v - (low[axis] + high[axis]) / 2) * (BOX - 2 * PEN)) / extent)));
  const raster = (dx, dy) => Uint8Array.from({ length: SIDE * SIDE }, (_, p) => {
    const [x, y] = [(p % SIDE) - dx, Math.floor(p / SIDE) - dy];
    const near = scaled.map((s) => Math.min(...s.map((a, i) => distance(x, y, a, s[i + 1] ?? a))));
    return Math.round(255 * Math.min(Math.max(PEN + 0.5 - Math.min(...near), 0), 1));
  });
  const ink = raster(14, 14);
  const sum = ink.reduce((a, b) => a + b);
  const centre = (place) => ink.reduce((total, b, p) => total + b * place(p), 0) / sum;
  return raster(28 - centre((p) => p % SIDE), 28 - centre((p) => Math.floor(p / SIDE)));
}

/** From (x, y) to the segment between two points. */
function distance(x, y, [x1, y1], [x2, y2]) {
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const along = length ? Math.min(Math.max(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0), 1) : 0;
  return Math.hypot(x - x1 - along * (x2 - x1), y - y1 - along * (y2 - y1));
}

const pad = {
  strokes: [],
  pen: [0.5, 0.5], // of the keyboard, in units of the area
  down: false,
  clear() {
    Object.assign(pad, { strokes: [], down: false });
    pad.show();
  },
  begin(point) {
    pad.strokes.push([point]);
    pad.down = true;
    pad.changed();
  },
  move(point) {
    if (pad.down) pad.strokes.at(-1).push(point);
    if (pad.down) pad.changed();
  },
  changed() {
    pad.show();
    const guessed = !state.drawn || state.guessed; // its class is what the networks read, until another is chosen
    Object.assign(state, { image: fromStrokes(pad.strokes), index: 0, drawn: true, guessed });
    render();
  },
  show() {
    const context = $("pad").getContext("2d");
    const side = $("pad").width;
    context.clearRect(0, 0, side, side);
    Object.assign(context, { strokeStyle: "#fff", lineWidth: side / 14, lineCap: "round", lineJoin: "round" });
    for (const [first, ...rest] of pad.strokes) {
      context.beginPath();
      context.moveTo(first[0] * side, first[1] * side);
      for (const [x, y] of rest.length ? rest : [first]) context.lineTo(x * side, y * side);
      context.stroke();
    }
    if (document.activeElement !== $("pad") || !$("pad").matches(":focus-visible")) return;
    Object.assign(context, { strokeStyle: pad.down ? "#f80" : "#4af", lineWidth: 3 });
    context.strokeRect(pad.pen[0] * side - 6, pad.pen[1] * side - 6, 12, 12);
  },
};

function connectPad() {
  const place = (event) => {
    const box = $("pad").getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) => Math.min(Math.max(v, 0), 1));
  };
  $("pad").addEventListener("pointerdown", (event) => {
    $("pad").setPointerCapture(event.pointerId);
    pad.begin(place(event));
  });
  $("pad").addEventListener("pointermove", (event) => event.buttons && pad.move(place(event)));
  for (const end of ["pointerup", "pointercancel"]) $("pad").addEventListener(end, () => (pad.down = false));
  const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  $("pad").addEventListener("keydown", (event) => {
    if (event.key === " " && pad.down) pad.down = false;
    else if (event.key === " ") pad.begin(pad.pen);
    else if (event.key in steps) {
      pad.pen = pad.pen.map((v, axis) => Math.min(Math.max(v + steps[event.key][axis] / SIDE, 0), 1));
      pad.move(pad.pen);
    } else return;
    event.preventDefault();
    pad.show();
  });
  for (const change of ["focus", "blur"]) $("pad").addEventListener(change, pad.show);
  $("clear").addEventListener("click", () => choose(Number($("number").value)));
}

// Showing

function render() {
  const noisy = attacked(state.attacks);
  const found = networks.map((network) => Object.fromEntries(MODES.map((mode) => [mode, softmax(read(network, noisy, state.attacks, mode))])));
  if (state.guessed) {
    const sums = networks.map((network) => softmax(read(network, state.image, 0, "frozen"))).reduce((a, b) => a.map((p, k) => p + b[k]));
    state.label = sums.indexOf(Math.max(...sums));
  }
  const changed = noisy.reduce((count, b, p) => count + (b !== state.image[p]), 0);
  const eligible = eligiblePixels(state.image, state.noise).length;
  paint($("clean"), state.image);
  paint($("noisy"), noisy);
  $("label").value = state.label;
  $("label").disabled = !state.drawn;
  $("what").textContent = state.drawn ? "Your drawing, as MNIST would have it" : `Test digit ${state.index}, a ${state.label}`;
  $("altered").textContent = `${changed} pixels altered, of ${eligible} that are eligible`;
  $("clean").ariaLabel = $("what").textContent;
  $("noisy").ariaLabel = `After ${state.attacks} attacks: ${$("altered").textContent}`;
  $("count").textContent = state.attacks;
  $("rule").textContent = `${NAMES[state.noise][1]} Each attack draws one eligible pixel; one drawn again stays as it is.`;
  const { c } = content.noises[state.noise];
  $("adaptation").textContent = `Adapted: with statistics of training images under this noise at c = ${c}` + (c === state.c ? "." : ", not at the c chosen here.");
  document.querySelectorAll("#samples button").forEach((button) => (button.ariaPressed = !state.drawn && Number(button.value) === state.index));
  networks.forEach((network, i) => {
    MODES.forEach((mode) => {
      const [cell, p] = [network.cells[mode], found[i][mode]];
      const best = p.indexOf(Math.max(...p));
      cell.className = `${mode} ${best === state.label ? "" : "wrong"}`;
      cell.replaceChildren(make("b", {}, String(best)), make("span", {}, `${percent(p[best])} · ${best === state.label ? "right" : "wrong"}`));
    });
    network.bars.replaceChildren(...bars(found[i]));
  });
  $("python").textContent = python();
  drawCurves();
}

function bars(found) {
  const parts = [make("svg:line", { x1: 0, x2: 320, y1: 70, y2: 70, class: "axis" })];
  for (let k = 0; k < 10; k++) {
    parts.push(make("svg:text", { x: 32 * k + 16, y: 84, "text-anchor": "middle", "font-weight": k === state.label ? "bold" : "normal" }, String(k)));
    MODES.forEach((mode, i) => parts.push(make("svg:rect", { class: mode, x: 32 * k + 4 + 12 * i, y: 70 - 64 * found[mode][k], width: 11, height: 64 * found[mode][k] })));
  }
  return parts;
}

const curves = { of: "", level: 0, values: [], timer: 0 };

/** Curves of the chosen digit, computed level by level between other events, and drawn as far as they are known. */
function drawCurves() {
  const of = [state.image, state.label, state.noise, state.c, state.draw, state.index].join();
  if (of !== curves.of) Object.assign(curves, { of, level: 0, values: networks.map(() => ({ frozen: [], adapted: [] })) });
  networks.forEach((network, i) => network.curve.replaceChildren(...curve(curves.values[i])));
  clearTimeout(curves.timer);
  if (curves.level === CURVE.length) return;
  curves.timer = setTimeout(() => {
    const attacks = CURVE[curves.level++];
    const noisy = attacked(attacks);
    networks.forEach((network, i) => {
      for (const mode of MODES) curves.values[i][mode].push(softmax(read(network, noisy, attacks, mode))[state.label]);
    });
    drawCurves();
  });
}

function curve(values) {
  const [x, y] = [(attacks) => 34 + (attacks * 276) / MOST, (p) => 112 - 100 * p];
  const parts = [];
  for (const p of [0, 0.5, 1]) {
    parts.push(make("svg:line", { x1: 34, x2: 310, y1: y(p), y2: y(p), class: "axis" }));
    parts.push(make("svg:text", { x: 30, y: y(p) + 4, "text-anchor": "end" }, `${100 * p}%`));
  }
  for (const attacks of [0, 50, 100, 150, 200]) parts.push(make("svg:text", { x: x(attacks), y: 127, "text-anchor": "middle" }, String(attacks)));
  parts.push(make("svg:line", { x1: x(state.attacks), x2: x(state.attacks), y1: 8, y2: 112, class: "now" }));
  for (const mode of MODES) {
    const points = values[mode].map((p, i) => `${x(CURVE[i])},${y(p)}`).join(" ");
    parts.push(make("svg:polyline", { points, class: `line ${mode}`, "stroke-dasharray": mode === "frozen" ? "none" : "6 2" }));
  }
  return parts;
}

/** Python that gives what is shown. */
function python() {
  const hex = Array.from(state.image, (b) => b.toString(16).padStart(2, "0")).join("");
  const own = `np.frombuffer(bytes.fromhex("${hex}"), np.uint8).reshape(28, 28)`;
  const images = state.drawn ? own : `data.load().test_images[${state.index}]`;
  return `from pathlib import Path

import numpy as np
import torch
from lib import networks
from lib.noise import perturb
from lib.store import data

digit, index = ${images}, ${state.index}
noisy = perturb(digit[None], "${state.noise}", ${state.attacks}, c=${state.c}, seed=${state.draw}, index=[index])
` + networks.map(({ load }) => `print(${load}(torch.from_numpy(noisy)[:, None] / 255))\n`).join("");
}

// Beginning

function attach(part, numbers) {
  for (const [name, value] of Object.entries(part)) {
    if (typeof value?.[0] === "number" && name !== "noises") part[name] = numbers.subarray(value[0], value[0] + value[1]);
    else if (Array.isArray(value)) value.forEach((layer) => attach(layer, numbers));
  }
}

function connect(id, name, allowed) {
  $(id).addEventListener("input", () => {
    const value = typeof state[name] === "number" ? Number($(id).value) : $(id).value;
    if (!$(id).reportValidity() || !allowed(value)) return;
    state[name] = value;
    if (id === "label") state.guessed = false;
    if (id === "noise") $("c").value = state.c = content.noises[value].c;
    render();
  });
  $(id).value = state[name];
}

async function begin() {
  const numbers = await unpack($("numbers").textContent);
  const [first, length] = content.digits;
  const pixels = Uint8Array.from(numbers.subarray(first, first + length));
  digits = content.labels.map((_, i) => pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE));
  networks = content.networks;
  for (const network of networks) {
    attach(network, numbers);
    network.cells = Object.fromEntries(MODES.map((mode) => [mode, make("td")]));
    const note = network.normalised ? "batch normalisation" : "no batch normalisation";
    $("predictions").append(make("tr", {}, make("th", { scope: "row" }, network.title, make("small", {}, note)), network.cells.frozen, network.cells.adapted));
    const adapted = network.normalised ? "statistics adapted" : "moments put back";
    const legend = make("p", { class: "note" }, make("span", { class: "frozen" }, "━ as trained"), " · ", make("span", { class: "adapted" }, `╍ ${adapted}`));
    network.bars = make("svg:svg", { viewBox: "0 0 320 88", role: "img", "aria-label": `${network.title}: probability of each class` });
    network.curve = make("svg:svg", { viewBox: "0 0 320 132", role: "img", "aria-label": `${network.title}: probability of the digit's class from 0 to 200 attacks` });
    const heading = make("p", { class: "note" }, "Probability of the digit's class, against attacks");
    $("cards").append(make("article", {}, make("h2", {}, network.title), legend, network.bars, heading, network.curve));
  }
  for (const [name, [title]] of Object.entries(NAMES)) $("noise").append(make("option", { value: name }, title));
  for (let k = 0; k < 10; k++) {
    $("label").append(make("option", { value: k }, String(k)));
    const index = content.labels.indexOf(k);
    const canvas = make("canvas", { width: SIDE, height: SIDE });
    paint(canvas, digits[index]);
    const button = make("button", { type: "button", value: index, "aria-label": `Test digit ${index}, a ${k}` }, canvas);
    button.addEventListener("click", () => choose(index));
    $("samples").append(button);
  }
  $("number").max = digits.length - 1;
  $("draw").max = content.noises[state.noise].keys.length - 1;
  $("estimated").textContent = content.estimatedOn.toLocaleString("en");
  $("levels").textContent = content.levels.slice(1).join(", ");
  connect("noise", "noise", (value) => value in NAMES);
  connect("c", "c", (value) => value > 0 && Number.isFinite(value));
  connect("attacks", "attacks", Number.isInteger);
  connect("draw", "draw", Number.isInteger);
  connect("label", "label", Number.isInteger);
  $("number").addEventListener("input", () => $("number").reportValidity() && choose(Number($("number").value)));
  $("again").addEventListener("click", () => {
    $("draw").value = state.draw = (state.draw + 1) % content.noises[state.noise].keys.length;
    render();
  });
  connectPad();
  $("status").hidden = true;
  $("stage").hidden = false;
  choose(0);
}

begin().catch((error) => {
  $("status").textContent = `This browser cannot run the page: ${error.message}`;
  throw error;
});
