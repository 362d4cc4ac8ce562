const STEP = 8; // units that an arrow key moves the pen

function render({ model, el }) {
  const [side, width] = [model.get("side"), model.get("pen")];
  const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side, tabIndex: 0 });
  canvas.setAttribute("role", "application");
  canvas.setAttribute("aria-label", "Drawing canvas: arrow keys move the pen, space lowers and lifts it");
  const pen = canvas.getContext("2d");
  let stroke = null; // under way
  let place = [side / 2, side / 4]; // of the pen that the keyboard moves
  let byKeys = false;

  function paint() {
    pen.fillStyle = "black";
    pen.fillRect(0, 0, side, side);
    Object.assign(pen, { strokeStyle: "white", lineWidth: width, lineCap: "round", lineJoin: "round" });
    for (const points of [...model.get("strokes"), ...(stroke ? [stroke] : [])]) {
      pen.beginPath();
      pen.moveTo(...points[0]);
      for (const point of points) pen.lineTo(...point);
      pen.stroke();
    }
    if (byKeys) {
      Object.assign(pen, { strokeStyle: stroke ? "#d55e00" : "#999999", lineWidth: 3 });
      pen.beginPath();
      pen.arc(...place, width / 2, 0, 2 * Math.PI);
      pen.stroke();
    }
  }

  function add(point) {
    stroke.push(point);
    paint();
  }

  function finish() {
    if (!stroke) return;
    model.set("strokes", [...model.get("strokes"), stroke]);
    stroke = null;
    model.save_changes();
  }

  function at(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * (side / box.width), (event.clientY - box.top) * (side / box.height)];
  }

  canvas.addEventListener("pointerdown", (event) => {
    [stroke, byKeys] = [[], false];
    add(at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke || byKeys) return;
    const point = at(event);
    point.every((length) => length >= 0 && length <= side) ? add(point) : finish(); // a finger keeps its target outside
  });
  for (const end of ["pointerup", "pointerleave", "pointercancel", "blur"]) canvas.addEventListener(end, finish);
  canvas.addEventListener("keydown", (event) => {
    const [dx, dy] = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key] ?? [0, 0];
    if (event.key !== " " && !dx && !dy) return; // Tab leaves the canvas
    event.preventDefault();
    event.stopPropagation();
    byKeys = true;
    place = [place[0] + STEP * dx, place[1] + STEP * dy].map((length) => Math.min(side, Math.max(0, length)));
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
