const STEP = 8; // units that an arrow key moves the pen
const MOVES = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1], " ": [0, 0] };

function render({ model, el }) {
  const [side, width] = [model.get("side"), model.get("pen")];
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Drawing canvas: arrow keys move the pen, space lowers and lifts it");
  const pen = Object.assign(canvas.getContext("2d"), { lineCap: "round", lineJoin: "round" });
  let stroke = null; // under way
  let place = null; // of the pen that the keyboard moves

  function line(points, strokeStyle, lineWidth) {
    Object.assign(pen, { strokeStyle, lineWidth });
    pen.beginPath();
    for (const point of [points[0], ...points]) pen.lineTo(...point);
    pen.stroke();
  }
  function paint() {
    pen.fillRect(0, 0, side, side);
    for (const points of [...model.get("strokes"), ...(stroke ? [stroke] : [])]) line(points, "white", width);
    if (place) line([place], stroke ? "#d55e00" : "#999999", width / 2);
  }
  function finish() {
    if (!stroke) return;
    model.set("strokes", [...model.get("strokes"), stroke]);
    stroke = null;
    model.save_changes();
  }
  function draw(event) {
    const box = canvas.getBoundingClientRect();
    const point = [event.clientX - box.left, event.clientY - box.top].map((length) => (length * side) / box.width);
    if (point.some((length) => length < 0 || length > side)) return finish(); // a finger keeps its target outside
    stroke.push(point);
    paint();
  }

  canvas.addEventListener("pointerdown", (event) => {
    [stroke, place] = [[], null];
    draw(event);
  });
  canvas.addEventListener("pointermove", (event) => stroke && !place && draw(event));
  for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) canvas.addEventListener(end, finish);
  canvas.addEventListener("keydown", (event) => {
    if (!(event.key in MOVES)) return; // Tab leaves the canvas
    event.preventDefault();
    event.stopPropagation();
    place ??= [side / 2, side / 4];
    place = place.map((length, axis) => Math.min(side, Math.max(0, length + STEP * MOVES[event.key][axis])));
    if (event.key !== " ") stroke?.push(place);
    else if (stroke) finish();
    else stroke = [place];
    paint();
  });
  model.on("change:strokes", paint);
  paint();
  el.append(canvas);
}

export default { render };
