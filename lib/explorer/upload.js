const LARGEST = 8_000_000; // bytes of one message: a server ends the connection at 10 MiB, and with it all viewers
const SIDE = 1_200; // pixels a side of what a larger picture is made into before it is sent

async function smaller(file) {
  const picture = await createImageBitmap(file); // upright, as a camera's orientation says
  const scale = Math.min(1, SIDE / Math.max(picture.width, picture.height));
  const canvas = new OffscreenCanvas(Math.ceil(picture.width * scale), Math.ceil(picture.height * scale));
  const pen = canvas.getContext("2d");
  pen.imageSmoothingQuality = "high";
  pen.drawImage(picture, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob();
}

async function content(file) {
  try {
    return [await (file.size > LARGEST ? await smaller(file) : file).arrayBuffer()];
  } catch {
    return []; // no picture, as far as the browser knows
  }
}

function render({ model, el }) {
  const input = Object.assign(document.createElement("input"), { type: "file", accept: "image/*", hidden: true });
  const button = document.createElement("button");
  button.className = "jupyter-widgets jupyter-button widget-button";
  button.style.width = "auto";
  button.textContent = model.get("description");
  button.addEventListener("click", () => {
    input.value = ""; // the same file may be chosen again
    input.click();
  });
  input.addEventListener("change", async () => {
    for (const file of input.files) {
      model.send({ name: file.name, size: file.size, largest: LARGEST }, undefined, await content(file));
    }
  });
  el.append(button, input);
}

export default { render };
