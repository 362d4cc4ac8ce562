// Tables of class sortable are sorted by a click on a column's name; every figure links to itself in full size.
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
});

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
