"use strict";
(() => {
  const { css, drawHeat, element, makeChart, prepared, shown } = obswarmCharts;
  const data = JSON.parse(document.getElementById("data").textContent);
  const sync = uPlot.sync("run");
  let plots = [];

  const isLogarithmic = () => document.getElementById("logarithmic")?.checked === true;

  const drawCharts = () => {
    plots.forEach((plot) => plot.destroy());
    plots = [];
    const charts = document.getElementById("charts");
    charts.textContent = "";
    for (const group of data.groups) {
      element("h3", charts, group.title);
      if (group.gaps_text) element("p", charts, group.gaps_text, "hint gaps");
      const grid = element("div", charts, "", "group");
      for (const chart of group.charts) {
        const place = element("div", grid, "", "chart");
        element("h4", place, chart.title);
        plots.push(makeChart(chart, element("div", place), { ...data, ...group, logarithmic: isLogarithmic(), sync }));
      }
    }
  };

  const drawDistributions = () => {
    const all = document.getElementById("distributions");
    if (!all) return;
    drawBands(all, data.endpoints.slice(0, data.shown));
    // A closed details element has no size to draw in.
    const more = document.getElementById("more-distributions");
    if (more?.open) drawBands(more.querySelector(".bands"), data.endpoints.slice(data.shown));
  };

  const drawBands = (all, endpoints) => {
    all.textContent = "";
    for (const endpoint of endpoints) {
      const place = element("div", all, "", "band");
      element("h3", place, endpoint.name);
      const canvas = element("canvas", place), context = prepared(canvas);
      canvas.setAttribute("role", "img");
      const bands = endpoint.bands;
      if (!bands.length) continue;
      const low = Math.log2(bands[0][0]), high = Math.log2(bands[bands.length - 1][0]);
      const count = Math.round((high - low) * 8) + 1, most = Math.max(...bands.map((band) => band[1]));
      const width = canvas.clientWidth, height = canvas.clientHeight - 18;
      context.fillStyle = css("--c0");
      for (const [upper, requests] of bands) {
        const at = Math.round((Math.log2(upper) - low) * 8), tall = Math.max(1, (requests / most) * (height - 4));
        context.fillRect((at * width) / count, height - tall, Math.max(1, width / count - 1), tall);
      }
      context.fillStyle = css("--faint");
      context.fillText(shown("seconds", bands[0][0]), 0, height + 14);
      const last = shown("seconds", bands[bands.length - 1][0]);
      context.fillText(last, width - context.measureText(last).width, height + 14);
      const peak = bands.reduce((one, other) => (other[1] > one[1] ? other : one));
      canvas.setAttribute("aria-label", `${endpoint.name}: most requests took about ${shown("seconds", peak[0])}, the slowest up to ${last}.`);
    }
  };

  const drawAll = () => {
    const heat = document.getElementById("heat");
    drawCharts();
    if (heat) drawHeat(heat, data.heat);
    drawDistributions();
  };
  drawAll();
  document.getElementById("more-distributions")?.addEventListener("toggle", drawDistributions);
  document.getElementById("logarithmic")?.addEventListener("change", drawCharts);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth, waiting = 0;
  addEventListener("resize", () => {
    if (innerWidth === width) return;
    width = innerWidth;
    clearTimeout(waiting);
    waiting = setTimeout(drawAll, 150);
  });
  document.documentElement.dataset.drawn = "yes";
})();
