// A closed page ends its kernel, and a page whose kernel has ended says so.
const kernelId = () => JSON.parse(document.getElementById("jupyter-config-data")?.textContent ?? "{}").kernelId;
const TRIES = "explorer-loads"; // of a page in which a viewer is missing

function stopped(why) {
  if (document.getElementById("stopped")) return;
  const line = Object.assign(document.createElement("div"), { id: "stopped", textContent: why });
  line.setAttribute("role", "alert");
  const again = Object.assign(document.createElement("button"), { textContent: "Reload", onclick: () => location.reload() });
  line.append(again);
  document.body.prepend(line);
}

addEventListener("DOMContentLoaded", () => document.getElementById("rendered_cells").setAttribute("role", "main"));

// Voilà does this only once its own script has loaded, and not on phones, which send no "beforeunload".
addEventListener("pagehide", () => {
  const form = new FormData();
  form.append("_xsrf", document.cookie.match(/\b_xsrf=([^;]*)/)?.[1] ?? "");
  if (kernelId()) navigator.sendBeacon(`${document.body.dataset.baseUrl}api/shutdown/${kernelId()}`, form);
});
addEventListener("pageshow", (event) => event.persisted && location.reload()); // back again, without a kernel

async function check() {
  const found = await fetch(`${document.body.dataset.baseUrl}../api/kernels/${kernelId()}`).catch(() => null);
  if (!found?.ok) stopped(found ? "The computation behind this page has ended." : "The server behind this page has stopped.");
}

const wait = setInterval(() => {
  const kernel = window.jupyterapp?.widgetManager?.kernel;
  if (!kernel) return;
  clearInterval(wait);
  kernel.statusChanged.connect((_, status) => {
    if (/restarting|dead|terminating/.test(status)) stopped("The computation behind this page was killed.");
  });
  kernel.connectionStatusChanged.connect((_, status) => status !== "connected" && setTimeout(check, 2000));
}, 200);

// On a busy machine Voilà may miss a widget: the page is loaded again, twice at most.
const look = setInterval(() => {
  if (!/Error displaying widget/.test(document.getElementById("rendered_cells")?.textContent)) return;
  clearInterval(look);
  const tries = Number(sessionStorage.getItem(TRIES) ?? 0);
  sessionStorage.setItem(TRIES, tries + 1);
  if (tries < 2) location.reload();
  else stopped("A part of this page could not be loaded.");
}, 1000);
