"use strict";
const narrow = window.matchMedia("screen and (max-width: 54rem)");
const options = { renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false } };
const places = [...document.querySelectorAll("[data-chart]")];
const folded = (place) => place.closest("details");
function draw(place) {
  const specs = JSON.parse(document.getElementById("chart-" + place.dataset.chart).textContent);
  const failed = (error) => { place.textContent = "This chart could not be drawn (" + error.message + ")."; };
  const spec = narrow.matches ? specs.narrow : specs.wide;
  vegaEmbed(place, { ...spec, datasets: { ...specs.shared, ...spec.datasets } }, options).catch(failed);
}
function drawOpen() {
  for (const place of places) if (!folded(place) || folded(place).open) draw(place);
}
for (const place of places.filter(folded)) {
  folded(place).addEventListener("toggle", () => { if (folded(place).open) draw(place); });
}
narrow.addEventListener("change", drawOpen);
drawOpen();
