// The four noises as lib.noise.perturb draws them, bit for bit (sections 3.2 and 3.3 of the paper).
"use strict";

const SIDE = 28;
const darken = (b, c) => (255 - b) / c; // equation (3)
const lighten = (b, c) => 255 - b / c; // equation (4)
const invert = (b, c) => (b > 127 ? darken(b, c) : lighten(b, c));
const RULES = {
  random_pixel_invert: { alter: invert, eligible: () => true },
  white_to_black: { alter: darken, eligible: (b) => b > 0 },
  black_to_white: { alter: lighten, eligible: (b) => b < 100 },
  edge_to_altered: { alter: invert, eligible: (b, neighbours) => neighbours.some((n) => b > 127 !== n > 127) },
};

/** What one attack makes of each brightness 0..255: clamped and truncated, as Python's int() does. */
function alteredTable(noise, c) {
  const { alter } = RULES[noise];
  return Uint8Array.from({ length: 256 }, (_, b) => Math.trunc(Math.min(Math.max(alter(b, c), 0), 255)));
}

/** The eligible pixels of an image, row by row. */
function eligiblePixels(image, noise) {
  const cells = [];
  for (let p = 0; p < image.length; p++) {
    const neighbours = [];
    for (const dy of [-1, 0, 1]) {
      for (const dx of [-1, 0, 1]) {
        const y = Math.floor(p / SIDE) + dy;
        const x = (p % SIDE) + dx;
        if ((dy || dx) && y >= 0 && y < SIDE && x >= 0 && x < SIDE) neighbours.push(image[y * SIDE + x]);
      }
    }
    if (RULES[noise].eligible(image[p], neighbours)) cells.push(p);
  }
  return cells;
}

/** SplitMix64's output function, `step` steps after `state`, 64-bit integers (Steele, Lea and Flood 2014). */
function mixed(state, step) {
  let z = BigInt.asUintN(64, state + (step + 1n) * 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}

/**
 * An image (28 x 28 bytes) after `attacks` draws of one of its eligible pixels; a pixel drawn again stays as it is.
 * `key`, a 64-bit integer, stands for noise and draw, `index` is the image's number: they decide the random stream.
 */
function perturb(image, noise, attacks, c, key, index) {
  const table = alteredTable(noise, c);
  const cells = eligiblePixels(image, noise);
  const noisy = Uint8Array.from(image);
  const bound = BigInt(cells.length);
  const stream = mixed(key, BigInt(index));
  for (let done = 0, step = 0n; done < attacks && cells.length; step++) {
    const product = (mixed(stream, step) >> 32n) * bound; // uniform below `bound` without bias (Lemire 2019)
    if ((product & 0xffffffffn) < (1n << 32n) % bound) continue;
    const p = cells[Number(product >> 32n)];
    noisy[p] = table[image[p]];
    done++;
  }
  return noisy;
}
