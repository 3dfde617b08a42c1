// The seconds of a run as columns, in bounded memory: when there are too many points, two and two become one.

export const MAX_POINTS = 1200;

// How the values of several seconds become one. Rates are averages; of percentiles, the highest shows that there was one.
const LAST = new Set(["users", "users_target", "iterations_per_s_target"]);
const HIGHEST = new Set(["p50_s", "p90_s", "p95_s", "p99_s", "in_flight", "oldest_s", "cpu_ratio"]);
const GAP_STEPS = 3.5;
// Of the durations in `heat`, as the API gives them.
const BANDS_PER_DOUBLING = 8;

const mergedValue = (name, one, other, weightOne, weightOther) => {
  if (one === null || one === undefined) return other ?? null;
  if (other === null || other === undefined) return one;
  if (LAST.has(name)) return other;
  if (HIGHEST.has(name)) return Math.max(one, other);
  return (one * weightOne + other * weightOther) / (weightOne + weightOther);
};

const mergedHeat = (one, other) => {
  const sums = new Map(one);
  for (const [bound, requests] of other) sums.set(bound, (sums.get(bound) || 0) + requests);
  return [...sums];
};

export class History {
  constructor(maxPoints = MAX_POINTS) {
    this.maxPoints = maxPoints;
    this.clear();
  }

  clear() {
    this.time = [];
    this.columns = {};
    this.heat = [];
    this.lengths = [];
    // The length of a point in seconds.
    this.step = 1;
  }

  get length() {
    return this.time.length;
  }

  get last() {
    return this.time.length ? this.time[this.time.length - 1] : -Infinity;
  }

  /* Replace everything by a series of the API. */
  load(series) {
    this.clear();
    const bounds = series.heat?.bounds_s || [];
    series.time_s.forEach((time, at) => {
      const point = {
        time_s: time,
        heat: (series.heat?.counts[at] || []).map(([band, requests]) => [bounds[band], requests]),
      };
      for (const [name, values] of Object.entries(series.columns)) point[name] = values[at];
      this.add(point, series.step_s);
    });
  }

  /* Add a point that ends at its time_s and is of so many seconds, or of fewer if the last one ended later. One that is not
     later than the last is left out. */
  add(point, longest = 1) {
    if (point.time_s <= this.last) return;
    const { time_s, heat = [], ...values } = point,
      end = this.length - 1;
    const after = time_s - this.last,
      seconds = Math.min(longest, after);
    // A reset of the statistics ends a second early.
    if (
      end >= 0 &&
      this.lengths[end] + seconds <= this.step + 0.5 &&
      after <= this.step * GAP_STEPS &&
      this.lengths[end] > 0
    ) {
      this.#merge(end, time_s, values, heat, seconds);
      return;
    }
    // A time without points, as while the browser slept: the lines are interrupted.
    if (end >= 0 && after > Math.max(this.step, longest) * GAP_STEPS) this.#push((this.last + time_s) / 2, {}, [], 0);
    this.#push(time_s, values, heat, seconds);
    if (this.length > this.maxPoints) this.#thin();
  }

  #push(time, values, heat, seconds) {
    for (const name of Object.keys(values)) this.columns[name] ||= new Array(this.length).fill(null);
    for (const name of Object.keys(this.columns)) this.columns[name].push(values[name] ?? null);
    this.time.push(time);
    this.heat.push(heat);
    this.lengths.push(seconds);
  }

  #merge(at, time, values, heat, seconds) {
    for (const name of Object.keys(this.columns)) {
      const column = this.columns[name];
      column[at] = mergedValue(name, column[at], values[name], this.lengths[at], seconds);
    }
    this.time[at] = time;
    this.heat[at] = mergedHeat(this.heat[at], heat);
    this.lengths[at] += seconds;
  }

  #thin() {
    const { time, columns, heat, lengths, step } = this;
    this.clear();
    this.step = step * 2;
    for (const name of Object.keys(columns)) this.columns[name] = [];
    time.forEach((each, at) => {
      // What was a gap is none, where the steps are longer.
      if (lengths[at] === 0 && (time[at + 1] ?? Infinity) - (time[at - 1] ?? -Infinity) <= this.step * GAP_STEPS)
        return;
      const values = Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column[at]]));
      const end = this.length - 1;
      const pairs =
        end >= 0 && lengths[at] > 0 && this.lengths[end] > 0 && this.lengths[end] + lengths[at] <= this.step * 1.25;
      if (pairs) this.#merge(end, each, values, heat[at], lengths[at]);
      else this.#push(each, values, heat[at], lengths[at]);
    });
    // Points that are longer than a step, as of a loaded series, or many gaps.
    if (this.length > this.maxPoints) this.#thin();
  }

  /* The heatmap of at most so many columns: {edges, time, columns}, as charts.js draws it; time since start_s. */
  heatmap(start_s, mostColumns = 150) {
    const per = Math.max(1, Math.ceil(this.length / mostColumns)),
      groups = [];
    for (let at = 0; at < this.length; at += per) {
      const to = Math.min(at + per, this.length);
      groups.push({ time: this.time[to - 1] - start_s, counts: this.heat.slice(at, to).reduce(mergedHeat, []) });
    }
    // Bands without requests between those with some are drawn, too.
    const bounds = [...new Set(groups.flatMap(({ counts }) => counts.map(([bound]) => bound)))].sort(
      (one, other) => one - other,
    );
    if (!bounds.length) return { edges: [], time: [], columns: [] };
    const lowest = bounds[0],
      band = (bound) => Math.round(Math.log2(bound / lowest) * BANDS_PER_DOUBLING);
    const edges = [];
    for (let number = -1; number <= band(bounds[bounds.length - 1]); number++)
      edges.push(lowest * 2 ** (number / BANDS_PER_DOUBLING));
    const columns = groups.map(({ counts }) => {
      const bands = new Map();
      for (const [bound, requests] of counts) bands.set(band(bound), (bands.get(band(bound)) || 0) + requests);
      return [...bands].sort(([one], [other]) => one - other).flat();
    });
    return { edges, time: groups.map(({ time }) => time), columns };
  }
}
