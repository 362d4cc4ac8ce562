// Tables of class sortable are sorted by a click on a column's name, figures link to themselves in full size, and what
// is wider than its box says so (class wide).
if (typeof texts !== "undefined") { // the search page, opened from disk, may not read the pages whose words it shows
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href).href;
  window.fetch = async (page) => {
    const name = decodeURI(new URL(page, root).href.slice(root.length)).replace(/#.*/, "");
    return { text: async () => `<div role="main">${texts[name] ?? name}</div>` };
  };
}

addEventListener("DOMContentLoaded", () => {
  for (const heading of document.querySelectorAll("table.sortable thead th")) {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.onclick = () => sort(heading);
  }
  for (const image of document.querySelectorAll("article img:not(a img)")) {
    const link = document.createElement("a");
    link.href = image.src;
    link.title = "in full size";
    image.replaceWith(link);
    link.append(image);
  }
  for (const link of document.querySelectorAll(".cell_output a:has(img)")) link.classList.add("box");
  for (const table of document.querySelectorAll("article table")) {
    for (const cell of table.querySelectorAll("td, th")) cell.classList.toggle("long", cell.textContent.length > 40);
    const box = document.createElement("div");
    box.className = "box";
    box.tabIndex = 0; // scrolled by keyboard
    table.replaceWith(box);
    box.append(table);
  }
  for (const frame of document.querySelectorAll("iframe")) { // the page that plays, once it is seen, as high as it is
    new IntersectionObserver(([seen], watch) => {
      if (!seen.isIntersecting) return;
      watch.disconnect();
      frame.src = frame.dataset.src;
    }).observe(frame);
    addEventListener("message", ({ data, source }) => {
      if (source === frame.contentWindow) frame.style.height = `${data}px`;
    });
  }
  measure();
  addEventListener("resize", measure);
  addEventListener("load", measure);
});

function measure() {
  for (const box of document.querySelectorAll(".box")) box.classList.toggle("wide", box.scrollWidth > box.clientWidth + 1);
}

function sort(heading) {
  const body = heading.closest("table").tBodies[0], column = heading.cellIndex;
  const down = heading.getAttribute("aria-sort") !== "descending";
  const text = (row) => row.cells[column].textContent;
  const before = (one, other) => {
    const [a, b] = [parseFloat(text(one)), parseFloat(text(other))];
    if (isNaN(a) || isNaN(b)) return isNaN(a) - isNaN(b) || text(one).localeCompare(text(other)) * (down ? -1 : 1); // "-" is last
    return down ? b - a : a - b;
  };
  body.append(...[...body.rows].sort(before));
  for (const other of heading.parentNode.cells) other.removeAttribute("aria-sort");
  heading.setAttribute("aria-sort", down ? "descending" : "ascending");
}
