"use strict";
const narrow = window.matchMedia("screen and (max-width: 54rem)");
const options = { renderer: "svg", ast: true, actions: { export: true, source: false, compiled: false, editor: false } };
function draw() {
  for (const place of document.querySelectorAll("[data-chart]")) {
    const specs = JSON.parse(document.getElementById("chart-" + place.dataset.chart).textContent);
    const failed = (error) => { place.textContent = "This chart could not be drawn (" + error.message + ")."; };
    vegaEmbed(place, narrow.matches ? specs.narrow : specs.wide, options).catch(failed);
  }
}
narrow.addEventListener("change", draw);
draw();
