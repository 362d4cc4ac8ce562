// The layers of this page's networks in plain JavaScript, for want of room: ONNX Runtime's compiled code takes 19 MB in a
// page, TensorFlow.js's 2 MB and its fast back end computes in half precision on many phones. Nine kinds of layers do.
"use strict";

/** Numbers packed by build.py: base64 of deflated float32, all first bytes before all second bytes and so on. */
async function unpack(text) {
  const characters = atob(text);
  const packed = new Uint8Array(characters.length);
  for (let i = 0; i < packed.length; i++) packed[i] = characters.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  const count = planes.length / 4;
  const bytes = new Uint8Array(planes.length);
  for (let plane = 0; plane < 4; plane++) {
    for (let i = 0; i < count; i++) bytes[4 * i + plane] = planes[plane * count + i];
  }
  return new Float32Array(bytes.buffer); // little-endian, as every browser's processor is
}

/** out[o, p] = bias[o] + the product of row o of the weights and row p of the inputs, both `length` long. */
function products(weights, bias, inputs, length, outputs) {
  const places = inputs.length / length;
  const out = new Float32Array(outputs * places);
  for (let o = 0; o < outputs; o++) {
    const w = weights.subarray(o * length, (o + 1) * length);
    for (let p = 0; p < places; p++) {
      const start = p * length;
      let [a, b, c, d, k] = [bias ? bias[o] : 0, 0, 0, 0, 0]; // four sums at once, in double precision
      for (; k + 3 < length; k += 4) {
        a += w[k] * inputs[start + k];
        b += w[k + 1] * inputs[start + k + 1];
        c += w[k + 2] * inputs[start + k + 2];
        d += w[k + 3] * inputs[start + k + 3];
      }
      for (; k < length; k++) a += w[k] * inputs[start + k];
      out[o * places + p] = a + b + c + d;
    }
  }
  return out;
}

/** Calls visit(place, channel, offset in the kernel, value) for all that a kernel sees; beyond the edge is nothing. */
function windows(x, layer, visit) {
  const { kernel, stride, padding } = layer;
  const side = Math.floor((x.side + 2 * padding - kernel) / stride) + 1;
  for (let c = 0; c < x.channels; c++) {
    for (let place = 0; place < side * side; place++) {
      const top = Math.floor(place / side) * stride - padding;
      const left = (place % side) * stride - padding;
      for (let k = 0; k < kernel * kernel; k++) {
        const row = top + Math.floor(k / kernel);
        const column = left + (k % kernel);
        if (row < 0 || column < 0 || row >= x.side || column >= x.side) continue;
        visit(place, c, k, x.values[(c * x.side + row) * x.side + column]);
      }
    }
  }
  return side;
}

/** Layers: (x, layer, blend) -> x. An x has `values` (channels, side, side); `blend` picks the statistics. */
const LAYERS = {
  upscale(x) {
    const side = 2 * x.side;
    const at = (p) => (Math.floor(p / side) >> 1) * x.side + ((p % side) >> 1); // nearest
    return { ...x, side, values: Float32Array.from({ length: side * side }, (_, p) => x.values[at(p)]) };
  },
  convolution(x, layer) {
    const { kernel, stride, padding, outputs } = layer;
    const side = Math.floor((x.side + 2 * padding - kernel) / stride) + 1;
    const length = x.channels * kernel * kernel;
    const columns = new Float32Array(side * side * length);
    windows(x, layer, (place, c, k, value) => (columns[place * length + c * kernel * kernel + k] = value));
    return { channels: outputs, side, values: products(layer.weight, layer.bias, columns, length, outputs) };
  },
  dense(x, layer) {
    const values = products(layer.weight, layer.bias, x.values, x.values.length, layer.outputs);
    return { channels: layer.outputs, side: 1, values };
  },
  norm(x, layer, { from, to, share }) {
    const size = x.side * x.side;
    const channels = x.channels;
    const values = new Float32Array(x.values.length);
    const between = (rows, c) => (1 - share) * rows[from * channels + c] + share * rows[to * channels + c];
    for (let c = 0; c < channels; c++) {
      const scale = layer.weight[c] / Math.sqrt(between(layer.variances, c) + layer.epsilon);
      const shift = layer.bias[c] - between(layer.means, c) * scale;
      for (let p = c * size; p < (c + 1) * size; p++) values[p] = x.values[p] * scale + shift;
    }
    return { ...x, values };
  },
  relu: (x) => ({ ...x, values: x.values.map((v) => Math.max(v, 0)) }),
  elu: (x) => ({ ...x, values: x.values.map((v) => (v > 0 ? v : Math.expm1(v))) }),
  largest(x, layer) {
    const side = Math.floor((x.side + 2 * layer.padding - layer.kernel) / layer.stride) + 1;
    const values = new Float32Array(x.channels * side * side).fill(-Infinity);
    windows(x, layer, (place, c, _, value) => {
      const at = c * side * side + place;
      if (value > values[at]) values[at] = value;
    });
    return { ...x, side, values };
  },
  mean(x) {
    const size = x.side * x.side;
    const mean = (_, c) => x.values.subarray(c * size, (c + 1) * size).reduce((sum, v) => sum + v, 0) / size;
    return { channels: x.channels, side: 1, values: Float32Array.from({ length: x.channels }, mean) };
  },
  residual(x, layer, blend) {
    const branch = run(layer.branch, x, blend);
    const shortcut = run(layer.shortcut, x, blend);
    return { ...branch, values: branch.values.map((v, i) => v + shortcut.values[i]) };
  },
};

const run = (layers, x, blend) => layers.reduce((found, layer) => LAYERS[layer.kind](found, layer, blend), x);

/** The logits of an image (28 x 28 bytes), with the statistics of training (`noise` null) or of this noise and level. */
function logits(network, image, noise, attacks, levels) {
  const values = Float32Array.from(image, (b) => (b / 255 - network.mean) / network.deviation);
  const step = levels[1];
  const below = Math.min(Math.floor(attacks / step), levels.length - 2);
  const row = (level) => (level === 0 ? 0 : Object.keys(RULES).indexOf(noise) * (levels.length - 1) + level);
  const frozen = { from: 0, to: 0, share: 0 };
  const blend = noise === null ? frozen : { from: row(below), to: row(below + 1), share: attacks / step - below };
  return run(network.layers, { channels: 1, side: SIDE, values }, blend).values;
}

function softmax(values) {
  const most = Math.max(...values);
  const powers = Array.from(values, (v) => Math.exp(v - most));
  const sum = powers.reduce((a, b) => a + b);
  return powers.map((power) => power / sum);
}
