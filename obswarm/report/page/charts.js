"use strict";
// Numbers with units, charts over time, and the heatmap: inlined into reports, and a file of the live page.
globalThis.obswarmCharts = (() => {
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const LINES = ["--c0", "--c1", "--c2", "--c3", "--c4", "--c5", "--c6", "--c7"];

  const digits = (value) => (value === 0 || Math.abs(value) >= 100 ? value.toFixed(0) : String(+value.toPrecision(3)));
  const clock = (seconds) => {
    const whole = Math.round(seconds), sign = whole < 0 ? "-" : "", all = Math.abs(whole);
    const part = (value) => String(value).padStart(2, "0");
    return all < 3600
      ? `${sign}${Math.floor(all / 60)}:${part(all % 60)}`
      : `${sign}${Math.floor(all / 3600)}:${part(Math.floor(all / 60) % 60)}:${part(all % 60)}`;
  };
  // Shorten long names in the middle, since names often have the same beginning.
  const short = (name) => (name.length <= 34 ? name : `${name.slice(0, 19)}…${name.slice(-14)}`);
  const tenths = (value) => `${clock(Math.floor(value + 1e-6))}.${Math.round((value - Math.floor(value + 1e-6)) * 10)}`;
  const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 432000];
  const seconds = (value) =>
    value === 0 ? "0" : value < 0.001 ? `${digits(value * 1e6)} µs` : value < 1 ? `${digits(value * 1e3)} ms` : `${digits(value)} s`;
  const bytes = (value) => {
    const units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let number = 0;
    while (Math.abs(value) >= 1024 && number < units.length - 1) { value /= 1024; number++; }
    return `${digits(value)} ${units[number]}`;
  };
  const plain = (value) => (Math.abs(value) >= 1e6 ? `${digits(value / 1e6)} M` : Math.abs(value) >= 1e4 ? `${digits(value / 1e3)} k` : digits(value));
  const FORMATS = { seconds, bytes, ratio: (value) => `${digits(value * 100)} %`, per_second: (value) => `${plain(value)}/s`, number: plain };
  const shown = (unit, value) => (value === null || value === undefined ? "–" : (FORMATS[unit] || plain)(value));

  const element = (name, parent, text, className) => {
    const made = document.createElement(name);
    if (text) made.textContent = text;
    if (className) made.className = className;
    parent.appendChild(made);
    return made;
  };

  // Text alternative of a chart for screen readers.
  const describe = (chart, group) => {
    const lines = chart.lines.map((line) => {
      const values = line.values.filter((value) => value !== null);
      if (!values.length) return `${line.label}: no data`;
      return `${line.label}: first ${shown(chart.unit, values[0])}, maximum ${shown(chart.unit, Math.max(...values))}, last ${shown(chart.unit, values[values.length - 1])}`;
    });
    return `${chart.title}. ${lines.join("; ") || "No data"}. ${group.gaps_text || ""}`.trim();
  };

  const stack = (lines) => {
    const below = new Array(lines.length ? lines[0].values.length : 0).fill(0);
    return lines.map((line) => line.values.map((value, at) => (below[at] += value || 0)));
  };

  const drawAnnotations = (plot, annotations) => {
    const { ctx, bbox } = plot;
    ctx.save();
    ctx.setLineDash([4, 4]);
    ctx.lineWidth = devicePixelRatio;
    for (const [at, colour] of annotations) {
      const x = plot.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) continue;
      ctx.strokeStyle = css(colour);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
    ctx.restore();
  };

  // Hatch the gaps in a target's metrics, behind the lines.
  const drawGaps = (plot, gaps) => {
    const { ctx, bbox } = plot, scale = devicePixelRatio || 1, apart = 7 * scale;
    for (const [from, to] of gaps) {
      const left = Math.max(plot.valToPos(from, "x", true), bbox.left), right = Math.min(plot.valToPos(to, "x", true), bbox.left + bbox.width);
      if (right <= left) continue;
      // Wide enough to be visible in a long run.
      const width = Math.max(right - left, 2 * scale);
      ctx.save();
      ctx.beginPath();
      ctx.rect(left, bbox.top, width, bbox.height);
      ctx.clip();
      ctx.fillStyle = css("--warn") + "26";
      ctx.fillRect(left, bbox.top, width, bbox.height);
      ctx.strokeStyle = css("--warn") + "80";
      ctx.lineWidth = scale;
      ctx.beginPath();
      for (let x = left - bbox.height; x < left + width; x += apart) {
        ctx.moveTo(x, bbox.top + bbox.height);
        ctx.lineTo(x + bbox.height, bbox.top);
      }
      ctx.stroke();
      ctx.restore();
    }
  };

  const lastOf = (values) => { for (let at = values.length - 1; at >= 0; at--) if (values[at] !== null) return at; return null; };

  // Integer powers of ten around the values; 0 cannot be drawn on a logarithmic axis.
  const decades = (low, high) => (low > 0 ? [10 ** Math.floor(Math.log10(low)), 10 ** Math.max(Math.ceil(Math.log10(high)), Math.floor(Math.log10(low)) + 1)] : [0.001, 1]);

  // The columns of a chart as uPlot takes them: stacked ones are sums, and logarithmic axes have no 0.
  const columns = (chart, logarithmic) => {
    const lines = chart.stacked ? stack(chart.lines) : chart.lines.map((line) => line.values);
    return logarithmic ? lines.map((values) => values.map((value) => (value > 0 ? value : null))) : lines;
  };

  /* Draw a chart in an element, and return its uPlot.
     chart: {title, unit, stacked, lines: [{label, values}]}; values may be replaced later, with plot.setData.
     about: {time, annotations: [[at, colour]], gaps: [[from, to]], gaps_text, logarithmic, sync, end_label, at_text}; times are in
     seconds since the start of the run. Without a cursor, the legend says end_label instead of a time, which at_text(time)
     writes. Annotations and gaps are read whenever the chart is drawn. */
  const makeChart = (chart, place, about) => {
    const logarithmic = chart.unit === "seconds" && about.logarithmic === true;
    const axis = { stroke: css("--faint"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
    const end = () => (about.time.length ? about.time[about.time.length - 1] : 1);
    const options = {
      width: Math.max(place.clientWidth, 200),
      height: 190,
      cursor: { sync: { key: about.sync.key, setSeries: false }, drag: { x: true, y: false } },
      scales: { x: { time: false, range: (plot, low, high) => [low ?? 0, high ?? end()] }, y: logarithmic ? { distr: 3, log: 10, range: (plot, low, high) => decades(low, high) } : { range: (plot, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.05] } },
      axes: [
        {
          ...axis,
          // Integer seconds, unless the range is short.
          incrs: (plot, number, low, high) => (high - low < 2 ? [0.1, 0.2, 0.5, ...STEPS] : STEPS),
          values: (plot, values, number, space, step) => values.map(step < 1 ? tenths : clock),
        },
        { ...axis, size: 62, ...(logarithmic && { grid: { ...axis.grid, filter: (plot, values) => values.map((value) => (Number.isInteger(+Math.log10(value).toFixed(6)) ? value : null)) } }), values: (plot, values) => values.map((value) => (value === null ? "" : shown(chart.unit, value))) },
      ],
      series: [
        { label: "at", value: (plot, value) => (value === null || value === undefined ? about.end_label || "the end" : (about.at_text || clock)(value)) },
        ...chart.lines.map((line, number) => ({
          label: short(line.label),
          stroke: css(LINES[number % LINES.length]),
          width: 1.5,
          fill: chart.stacked ? css(LINES[number % LINES.length]) + "33" : undefined,
          points: { show: about.time.length < 3 },
          // Without a cursor: the last value.
          value: (plot, value, series, at) => shown(chart.unit, line.values[at ?? lastOf(line.values)]),
        })),
      ],
      hooks: { drawAxes: [(plot) => drawGaps(plot, about.gaps || [])], draw: [(plot) => drawAnnotations(plot, about.annotations)] },
    };
    const plot = new uPlot(options, [about.time, ...columns(chart, logarithmic)], place);
    plot.root.querySelector("canvas").setAttribute("role", "img");
    plot.root.querySelector("canvas").setAttribute("aria-label", describe(chart, about));
    // The first series is the time.
    plot.root.querySelectorAll(".u-legend .u-series").forEach((series, number) => { if (number) series.title = chart.lines[number - 1].label; });
    about.sync.sub(plot);
    return plot;
  };

  const prepared = (canvas) => {
    const scale = devicePixelRatio || 1;
    canvas.width = canvas.clientWidth * scale;
    canvas.height = canvas.clientHeight * scale;
    const context = canvas.getContext("2d");
    context.scale(scale, scale);
    context.font = "11px system-ui, sans-serif";
    context.fillStyle = css("--faint");
    return context;
  };

  // Draw requests by time and duration. Of the columns, [band, requests, band, requests …], each ends at its time.
  const drawHeat = (canvas, { edges, time, columns }) => {
    const context = prepared(canvas), left = 62, bottom = 20;
    const width = canvas.clientWidth - left - 8, height = canvas.clientHeight - bottom - 8;
    if (!columns.length) { context.fillText("No requests.", left, 30); return; }
    const bands = edges.length - 1, most = columns.reduce((before, column) => column.reduce((high, value, at) => (at % 2 && value > high ? value : high), before), 1);
    columns.forEach((column, at) => {
      for (let pair = 0; pair < column.length; pair += 2) {
        const share = Math.sqrt(column[pair + 1] / most);
        context.fillStyle = `rgba(${css("--heat")}, ${0.08 + 0.92 * share})`;
        context.fillRect(left + (at * width) / columns.length, 8 + height - ((column[pair] + 1) * height) / bands, width / columns.length + 0.5, height / bands + 0.5);
      }
    });
    context.fillStyle = css("--faint");
    const every = Math.max(1, Math.ceil(bands / 8));
    for (let band = 0; band <= bands; band += every) context.fillText(shown("seconds", edges[band]), 4, 12 + height - (band * height) / bands);
    let before = "";
    for (let part = 0; part <= 4; part++) {
      const at = Math.min(time.length - 1, Math.round((part * (time.length - 1)) / 4));
      if (clock(time[at]) === before) continue;
      before = clock(time[at]);
      context.fillText(clock(time[at]), Math.min(left + (at * width) / columns.length, canvas.clientWidth - 34), canvas.clientHeight - 5);
    }
    canvas.setAttribute("aria-label", `Requests by time and latency, from ${shown("seconds", edges[0])} to ${shown("seconds", edges[bands])}.`);
    canvas.removeAttribute("aria-labelledby");
  };

  return { LINES, clock, columns, css, describe, drawHeat, element, makeChart, prepared, short, shown };
})();
