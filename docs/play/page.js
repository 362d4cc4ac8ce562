// What the page shows and how it is worked; the noise and the networks are above.
"use strict";

const MOST = 200; // attacks
const CURVE = Array.from({ length: 21 }, (_, i) => 10 * i); // attacks at which the curves are computed
const PEN = 1.5; // pixels: half of the usual width of MNIST's strokes
const BOX = 20; // pixels of an MNIST digit's longer side
const NAMES = {
  random_pixel_invert: ["Random Pixel Invert", "Any pixel b becomes (255 − b) / c where b > 127, else 255 − b / c."],
  white_to_black: ["White to Black", "A pixel b of the digit (b > 0) becomes (255 − b) / c."],
  black_to_white: ["Black to White", "A pixel b of the background (b < 100) becomes 255 − b / c."],
  edge_to_altered: ["Edge to Altered", "A pixel b at an edge becomes (255 − b) / c where b > 127, else 255 − b / c."],
};
const MODES = ["frozen", "adapted"];

const $ = (id) => document.getElementById(id);
const content = JSON.parse($("content").textContent);
const state = {
  image: null,
  label: 0,
  guessed: false,
  index: 0,
  drawn: false,
  noise: "black_to_white",
  c: 2,
  attacks: 100,
  draw: 0,
};
let networks = [];
let digits = [];

const key = () => BigInt(content.noises[state.noise].keys[state.draw]);
const attacked = (attacks) => perturb(state.image, state.noise, attacks, state.c, key(), state.index);
const mostProbable = (values) => values.indexOf(Math.max(...values));

/** A network's probabilities for an image after so many attacks, its statistics as trained or adapted to the noise. */
const read = (network, image, attacks, mode) =>
  softmax(logits(network, image, mode === "frozen" ? null : state.noise, attacks, content.levels));

function make(tag, attributes = {}, ...children) {
  const drawn = ["svg", "line", "polyline", "rect", "text"].includes(tag);
  const element = document.createElementNS(`http://www.w3.org/${drawn ? "2000/svg" : "1999/xhtml"}`, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const line = (x1, y1, x2, y2, kind) => make("line", { x1, y1, x2, y2, class: kind });
const text = (x, y, anchor, words) => make("text", { x, y, "text-anchor": anchor }, String(words));

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
  const ends = [0, 1]
    .map((axis) => strokes.flat().map((point) => point[axis]))
    .map((v) => [Math.min(...v), Math.max(...v)]);
  const extent = Math.max(...ends.map(([low, high]) => high - low), 0.2); // a dot stays a dot
  const fit = (v, axis) => ((v - (ends[axis][0] + ends[axis][1]) / 2) * (BOX - 2 * PEN)) / extent;
  const fitted = strokes.map((stroke) => stroke.map((point) => point.map(fit)));
  const brightness = (x, y) => {
    const away = fitted.map((stroke) => Math.min(...stroke.map((a, i) => distance(x, y, a, stroke[i + 1] ?? a))));
    return Math.round(255 * Math.min(Math.max(PEN + 0.5 - Math.min(...away), 0), 1));
  };
  const raster = (left, top) =>
    Uint8Array.from({ length: SIDE * SIDE }, (_, p) => brightness((p % SIDE) - left, Math.floor(p / SIDE) - top));
  const ink = raster(14, 14);
  const total = ink.reduce((sum, b) => sum + b, 0);
  const centre = (place) => ink.reduce((sum, b, p) => sum + b * place(p), 0) / total;
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
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((v) =>
      Math.min(Math.max(v, 0), 1),
    );
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
  const found = networks.map((network) => MODES.map((mode) => read(network, noisy, state.attacks, mode)));
  if (state.guessed) {
    const clean = networks.map((network) => read(network, state.image, 0, "frozen"));
    state.label = mostProbable(clean[0].map((_, k) => clean.reduce((sum, p) => sum + p[k], 0)));
  }
  paint($("clean"), state.image);
  paint($("noisy"), noisy);
  const changed = noisy.filter((b, p) => b !== state.image[p]).length;
  const eligible = eligiblePixels(state.image, state.noise).length;
  $("what").textContent = state.drawn ? "Your drawing, as MNIST has it" : `Test digit ${state.index}, a ${state.label}`;
  $("altered").textContent = `${changed} pixels altered, of ${eligible} that are eligible`;
  for (const [id, caption] of [
    ["clean", "what"],
    ["noisy", "altered"],
  ])
    $(id).ariaLabel = $(caption).textContent;
  $("label").value = state.label;
  $("label").disabled = !state.drawn;
  $("count").textContent = state.attacks;
  $("rule").textContent = `${NAMES[state.noise][1]} Each attack draws one such pixel; one drawn again stays as it is.`;
  const { c } = content.noises[state.noise];
  const other = c === state.c ? "" : ", not at the c chosen here";
  $("adaptation").textContent = `Adapted: with statistics of training images under this noise at c = ${c}${other}.`;
  for (const button of $("samples").children) button.ariaPressed = !state.drawn && Number(button.value) === state.index;
  networks.forEach((network, i) => {
    network.bars.replaceChildren(...bars(found[i]));
    network.cells.forEach((cell, mode) => {
      const best = mostProbable(found[i][mode]);
      const verdict = best === state.label ? "right" : "wrong";
      const percent = Math.round(100 * found[i][mode][best]);
      cell.className = `${MODES[mode]} ${verdict}`;
      cell.replaceChildren(make("b", {}, String(best)), make("span", {}, `${percent} % · ${verdict}`));
    });
  });
  $("python").textContent = python();
  drawCurves();
}

function bars(found) {
  const bar = (k, mode, height) =>
    make("rect", { class: MODES[mode], x: 32 * k + 4 + 12 * mode, y: 70 - height, width: 11, height });
  const classes = Array.from({ length: 10 }, (_, k) => k);
  const both = classes.flatMap((k) => [bar(k, 0, 64 * found[0][k]), bar(k, 1, 64 * found[1][k])]);
  return [line(0, 70, 320, 70, "axis"), ...both, ...classes.map((k) => text(32 * k + 16, 84, "middle", k))];
}

const curves = { of: "", level: 0, values: [], timer: 0 };

/** Curves of the chosen digit, computed level by level between other events, and drawn as far as they are known. */
function drawCurves() {
  const of = [state.image, state.label, state.noise, state.c, state.draw, state.index].join();
  if (of !== curves.of) Object.assign(curves, { of, level: 0, values: networks.map(() => MODES.map(() => [])) });
  networks.forEach((network, i) => network.curve.replaceChildren(...curve(curves.values[i])));
  clearTimeout(curves.timer);
  if (curves.level < CURVE.length) curves.timer = setTimeout(continueCurves);
}

function continueCurves() {
  const attacks = CURVE[curves.level++];
  const noisy = attacked(attacks);
  curves.values.forEach((of, i) =>
    of.forEach((values, mode) => values.push(read(networks[i], noisy, attacks, MODES[mode])[state.label])),
  );
  drawCurves();
}

function curve(values) {
  const x = (attacks) => 34 + (attacks * 276) / MOST;
  const y = (p) => 112 - 100 * p;
  const points = (of) => of.map((p, i) => `${x(CURVE[i])},${y(p)}`).join(" ");
  return [
    ...[0, 0.5, 1].flatMap((p) => [line(34, y(p), 310, y(p), "axis"), text(30, y(p) + 4, "end", `${100 * p}%`)]),
    ...[0, 50, 100, 150, 200].map((attacks) => text(x(attacks), 127, "middle", attacks)),
    line(x(state.attacks), 8, x(state.attacks), 112, "now"),
    ...values.map((of, mode) => make("polyline", { points: points(of), class: `line ${MODES[mode]}` })),
  ];
}

/** Python that gives what is shown. */
function python() {
  const hex = Array.from(state.image, (b) => b.toString(16).padStart(2, "0")).join("");
  const drawn = `np.frombuffer(bytes.fromhex("${hex}"), np.uint8).reshape(28, 28)`;
  const given = [`"${state.noise}"`, state.attacks, `c=${state.c}`, `seed=${state.draw}`, "index=[index]"].join(", ");
  return `from pathlib import Path

import numpy as np
import torch
from lib import networks
from lib.noise import perturb
from lib.store import data

digit, index = ${state.drawn ? drawn : `data.load().test_images[${state.index}]`}, ${state.index}
noisy = perturb(digit[None], ${given})
images = torch.from_numpy(noisy)[:, None] / 255
${networks.map(({ load }) => `print(${load}(images))`).join("\n")}
`;
}

// Beginning

/** Puts the arrays of a network into its layers, where [begin, end] stands for each. */
function attach(part, numbers) {
  for (const [name, value] of Object.entries(part)) {
    if (typeof value?.[0] === "number") part[name] = numbers.subarray(...value);
    else if (Array.isArray(value)) value.forEach((layer) => attach(layer, numbers));
  }
}

function connect(name) {
  $(name).value = state[name];
  $(name).addEventListener("input", () => {
    if (!$(name).reportValidity()) return;
    state[name] = name === "noise" ? $(name).value : Number($(name).value);
    if (name === "label") state.guessed = false;
    if (name === "noise") $("c").value = state.c = content.noises[state.noise].c;
    render();
  });
}

/** A row of the table of predictions, and the two pictures below. */
function addNetwork(network) {
  const { title, normalised } = network;
  const picture = (height, label) =>
    make("svg", { viewBox: `0 0 320 ${height}`, role: "img", "aria-label": `${title}: ${label}` });
  network.cells = MODES.map(() => make("td"));
  network.bars = picture(88, "probability of each class");
  network.curve = picture(132, "probability of the digit's class from 0 to 200 attacks");
  const note = make("small", {}, normalised ? "batch normalisation" : "no batch normalisation");
  $("predictions").append(make("tr", {}, make("th", { scope: "row" }, title, note), ...network.cells));
  const legend = ["━ as trained", normalised ? "╍ statistics adapted" : "╍ moments put back"];
  const words = legend.map((label, mode) => make("span", { class: MODES[mode] }, label));
  const below = make("p", {}, "Probability of the digit's class, against attacks");
  $("cards").append(
    make("article", {}, make("h2", {}, title), make("p", {}, ...words), network.bars, below, network.curve),
  );
}

function addSample(index) {
  const canvas = make("canvas", { width: SIDE, height: SIDE });
  const label = `Test digit ${index}, a ${content.labels[index]}`;
  const button = make("button", { type: "button", value: index, "aria-label": label }, canvas);
  paint(canvas, digits[index]);
  button.addEventListener("click", () => choose(index));
  $("samples").append(button);
}

async function begin() {
  const numbers = await unpack($("numbers").textContent);
  const pixels = numbers.subarray(...content.digits);
  digits = content.labels.map((_, i) => Uint8Array.from(pixels.subarray(i * SIDE * SIDE, (i + 1) * SIDE * SIDE)));
  networks = content.networks;
  networks.forEach((network) => attach(network, numbers));
  networks.forEach(addNetwork);
  for (const [value, [title]] of Object.entries(NAMES)) $("noise").append(make("option", { value }, title));
  for (let k = 0; k < 10; k++) $("label").append(make("option", { value: k }, String(k)));
  for (let k = 0; k < 10; k++) addSample(content.labels.indexOf(k));
  $("number").max = digits.length - 1;
  $("draw").max = content.noises[state.noise].keys.length - 1;
  $("estimated").textContent = content.estimatedOn.toLocaleString("en");
  $("levels").textContent = content.levels.slice(1).join(", ");
  for (const name of ["noise", "c", "attacks", "draw", "label"]) connect(name);
  $("number").addEventListener("input", () => $("number").reportValidity() && choose(Number($("number").value)));
  $("again").addEventListener("click", () => {
    $("draw").value = state.draw = (state.draw + 1) % content.noises[state.noise].keys.length;
    render();
  });
  connectPad();
  $("status").hidden = true;
  $("stage").hidden = false;
  choose(0);
  // embedded in another page: as high as it is, so that nothing scrolls within what scrolls
  const tell = () => parent.postMessage(document.documentElement.offsetHeight + 2, "*");
  if (parent !== window) new ResizeObserver(tell).observe(document.body);
}

begin().catch((error) => {
  $("status").textContent = `This browser cannot run the page: ${error.message}`;
  throw error;
});
