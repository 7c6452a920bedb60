"use strict";
// What the last fifteen minutes looked like: four charts over one row of seconds, drawn by uPlot.
// The gateway keeps the seconds (GET /v1/waves/{wave}/trail), so that a page opened late shows them all.

const Charts = (() => {
  const SECONDS = 900;
  const SMOOTH_S = 5; // a flow is told over so many seconds: one second alone is noise
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const short = (value) => value >= 1e6 ? `${+(value / 1e6).toFixed(2)} M` : value >= 1e4 ? `${+(value / 1e3).toFixed(1)} k` : `${+value.toFixed(1)}`;
  let seconds = {}; // column -> values, oldest first
  let plots = [];
  let zone_s = 0; // of the wave, from UTC

  // Per second over the last few seconds, from a counter.
  function flow(name) {
    const at = seconds.at_s, counter = seconds[name];
    return at.map((now, i) => {
      let j = i;
      while (j > 0 && now - at[j] < SMOOTH_S) j -= 1;
      return j < i ? Math.max(0, (counter[i] - counter[j]) / (now - at[j])) : null;
    });
  }

  const WANTED = {
    "chart-waiting": [["waiting", "--accent", () => seconds.waiting]],
    "chart-flow": [
      ["admitted", "--accent", () => flow("admitted")],
      ["registered", "--chart2", () => flow("accepted")],
      ["limit", "--quiet", () => seconds.rate_per_s],
    ],
    "chart-hits": [
      ["hits", "--accent", () => seconds.hits_per_s],
      ["shed", "--bad", () => seconds.shed_per_s],
    ],
    "chart-store": [["pending", "--chart3", () => seconds.backlog]],
  };

  function make(id) {
    const place = document.getElementById(id), lines = WANTED[id];
    const axis = { stroke: css("--quiet"), grid: { stroke: css("--line"), width: 1 }, ticks: { show: false } };
    const clock = (time, digits = 5) => new Date((time + zone_s) * 1000).toISOString().slice(11, 11 + digits);
    return new uPlot({
      width: place.clientWidth, height: place.clientHeight - 26,
      cursor: { sync: { key: "seconds" }, drag: { x: false, y: false } },
      scales: { x: { time: true }, y: { range: (_, low, high) => [0, Math.max(1, high * 1.1)] } },
      axes: [{ ...axis, size: 28, values: (_, times) => times.map((time) => clock(time)), space: 70 }, { ...axis, size: 58, values: (_, values) => values.map(short) }],
      series: [
        { label: "at", value: (_, time) => time ? clock(time, 8) : "" },
        ...lines.map(([label, colour], i) => ({
          label, stroke: css(colour), width: 2, dash: label === "limit" ? [6, 5] : undefined,
          fill: i === 0 && lines.length === 1 ? css("--bar") + "88" : undefined, points: { show: false },
          value: (_, value) => value == null ? "–" : value.toLocaleString("en-US", { maximumFractionDigits: 1 }),
        })),
      ],
    }, data(id), place);
  }

  const data = (id) => [seconds.at_s, ...WANTED[id].map(([, , values]) => values())];

  function remake() {
    plots.forEach(([, plot]) => plot.destroy());
    plots = Object.keys(WANTED).map((id) => [id, make(id)]);
  }

  function begin(columns, zoneMinutes) {
    seconds = columns;
    zone_s = zoneMinutes * 60;
    remake();
  }

  // Take in what a status tells of one wave.
  function add(wave, traffic, now_s) {
    if (!seconds.at_s) return;
    const last = seconds.at_s.at(-1) ?? 0, at_s = Math.floor(now_s);
    if (at_s <= last) return;
    const sample = { ...traffic, at_s, waiting: wave.waiting, polls_per_s: wave.polls_expected_per_s };
    for (const name in seconds) {
      seconds[name].push(sample[name] ?? wave[name] ?? 0);
      if (seconds[name].length > SECONDS) seconds[name].shift();
    }
    plots.forEach(([id, plot]) => plot.setData(data(id)));
  }

  // How many of a counter a second, lately; null before it can be told.
  const pace = (name) => seconds.at_s?.length > SMOOTH_S ? flow(name).at(-1) : null;

  const fit = () => plots.forEach(([id, plot]) => {
    const place = document.getElementById(id);
    plot.setSize({ width: place.clientWidth, height: place.clientHeight - 26 });
  });
  addEventListener("resize", fit);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => seconds.at_s && remake());

  return { begin, add, pace };
})();
