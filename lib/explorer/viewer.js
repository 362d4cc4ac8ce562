// What ipywidgets leaves without a name for screen readers.
const PICTURES = {
  digit: "The clean digit, the digit after the attacks, and the altered pixels",
  strip: "Probability of the true class after each number of attacks",
  bars: "Probability of each class, clean and noisy",
  curves: "Accuracy against the number of attacks",
  fooled: "Digits that the network misreads under noise",
};
let count = 0;

function name(viewer) {
  for (const [kind, words] of Object.entries(PICTURES)) {
    for (const image of viewer.querySelectorAll(`img.${kind}:not([alt])`)) image.alt = words;
  }
  for (const part of viewer.querySelectorAll(".noUi-handle:not([aria-labelledby]), .widget-readout:not([aria-labelledby])")) {
    const label = part.closest(".widget-inline-hbox, .widget-hslider").querySelector("label, .widget-label");
    label.id ||= `viewer-label-${count++}`;
    part.setAttribute("aria-labelledby", label.id);
    if (part.isContentEditable) part.setAttribute("role", "textbox");
  }
  for (const button of viewer.querySelectorAll(".widget-play button:not([aria-label])")) {
    button.setAttribute("aria-label", button.querySelector(".fa-stop") ? "Back to no attacks" : "Play or pause the attacks");
  }
  for (const bar of viewer.querySelectorAll(".progress:not([role])")) {
    bar.setAttribute("role", "img");
    bar.setAttribute("aria-label", "Progress of the computation");
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
