// What ipywidgets leaves without a name for screen readers: selectors and names.
const NAMES = {
  "img.digit": "The clean digit, the digit after the attacks, and the altered pixels",
  "img.strip": "Probability of the true class after each number of attacks",
  "img.bars": "Probability of each class, clean and noisy",
  "img.curves": "Accuracy against the number of attacks",
  "img.fooled": "Digits that the network misreads under noise",
  ".widget-play button:has(.fa-stop)": "Back to no attacks",
  ".widget-play button": "Play or pause the attacks",
  ".progress": "Progress of the computation",
};
let count = 0;

function name(viewer) {
  for (const [parts, words] of Object.entries(NAMES)) {
    for (const part of viewer.querySelectorAll(`${parts}:not([aria-label])`)) {
      part.setAttribute("aria-label", words);
      if (part.matches("div")) part.setAttribute("role", "img");
    }
  }
  for (const part of viewer.querySelectorAll(":is(.noUi-handle, .widget-readout):not([aria-labelledby])")) {
    const label = part.closest(".widget-inline-hbox, .widget-hslider").querySelector("label, .widget-label");
    part.setAttribute("aria-labelledby", (label.id ||= `viewer-label-${count++}`));
    if (part.isContentEditable) part.setAttribute("role", "textbox");
  }
}

function render({ el }) {
  const wait = setInterval(() => {
    const viewer = el.closest(".viewer");
    if (!viewer) return; // not on the page yet
    clearInterval(wait);
    name(viewer);
    new MutationObserver(() => name(viewer)).observe(viewer, { childList: true, subtree: true });
  }, 100);
  return () => clearInterval(wait);
}

export default { render };
