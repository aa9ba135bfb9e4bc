// Shows the values under the pointer, the finger or the arrow keys below each plot. Everything else is without script.
"use strict";
(() => {
  const round = (v) => {
    const a = Math.abs(v);
    const d = a < 0.995 ? 2 : a < 99.95 ? 1 : 0;
    return d ? String(Number(v.toFixed(d))) : Math.round(v).toLocaleString("en-US");
  };
  const steps = (v, size, units) => {
    let unit = 0;
    while (v >= size * 0.9995 && unit + 1 < units.length) { v /= size; unit += 1; }
    return `${round(v)} ${units[unit]}`;
  };
  const text = {
    count: (v) => Math.round(v).toLocaleString("en-US"),
    rate: (v) => `${round(v)}/s`,
    latency: (v) => steps(v, 1000, ["µs", "ms", "s"]),
    cpu: (v) => `${round(v)} µs`,
    cores: (v) => v.toFixed(2),
    memory: (v) => steps(v, 1024, ["KiB", "MiB", "GiB"]),
    flow: (v) => `${steps(v / 1024, 1024, ["KiB", "MiB", "GiB"])}/s`,
    number: round,
    time: (v) => v < 60 ? `${round(v)} s` : `${Math.floor(v / 60)} min ${Math.floor(v % 60)} s`,
    percentile: (v) => {
      const share = 100 * (1 - 10 ** -v);
      return `${share.toFixed(Math.max(0, Math.min(3, Math.ceil(v) - 1)))} %`;
    },
  };
  const numbers = (s) => s.split(" ").map(Number);

  const lines = (svg) => [...svg.querySelectorAll("path.line")]
    .filter((path) => getComputedStyle(path).display !== "none")
    .map((path) => ({
      label: path.dataset.label,
      points: [...path.getAttribute("d").matchAll(/[ML]([\d.]+) ([\d.]+)/g)].map((m) => [+m[1], +m[2]]),
    }));

  const show = (svg, x) => {
    const [left, top, right, bottom] = numbers(svg.dataset.box);
    const [xLow, xHigh] = numbers(svg.dataset.x);
    const [yLow, yHigh, isLog] = numbers(svg.dataset.y);
    const near = lines(svg).map(({ label, points }) => ({
      label,
      point: points.reduce((best, p) => Math.abs(p[0] - x) < Math.abs(best[0] - x) ? p : best, points[0]),
    })).filter(({ point }) => point);
    if (!near.length) return;
    const at = near.reduce((best, { point }) => Math.abs(point[0] - x) < Math.abs(best - x) ? point[0] : best, near[0].point[0]);
    const value = (y) => {
      const share = (bottom - y) / (bottom - top);
      return isLog ? yLow * (yHigh / yLow) ** share : yLow + share * (yHigh - yLow);
    };
    const across = xLow + (at - left) / (right - left) * (xHigh - xLow);
    const parts = near.map(({ label, point }) => `${label} ${text[svg.dataset.unit](value(point[1]))}`);
    svg.parentNode.querySelector(".readout").textContent = `${text[svg.dataset.across](across)}: ${parts.join(", ")}`;
    let cursor = svg.querySelector(".cursor");
    if (!cursor) {
      cursor = document.createElementNS("http://www.w3.org/2000/svg", "line");
      cursor.setAttribute("class", "cursor");
      svg.append(cursor);
    }
    for (const [name, to] of [["x1", at], ["x2", at], ["y1", top], ["y2", bottom]]) cursor.setAttribute(name, to);
    svg.dataset.at = at;
  };

  const hide = (svg) => {
    svg.querySelector(".cursor")?.remove();
    svg.parentNode.querySelector(".readout").textContent = "";
  };

  for (const svg of document.querySelectorAll("svg[data-box]")) {
    const point = (event) => {
      const box = svg.getBoundingClientRect();
      show(svg, (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width);
    };
    svg.addEventListener("pointermove", point);
    svg.addEventListener("pointerdown", point);
    svg.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && hide(svg));
    svg.addEventListener("blur", () => hide(svg));
    svg.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const all = lines(svg).flatMap(({ points }) => points.map((p) => p[0])).sort((a, b) => a - b);
      const from = svg.dataset.at === undefined ? -Infinity : Number(svg.dataset.at);
      const next = step > 0 ? all.find((x) => x > from) : all.findLast((x) => x < from);
      if (next !== undefined) show(svg, next);
    });
  }

  for (const bar of document.querySelectorAll("g.bar")) {
    const out = bar.closest("figure").querySelector(".readout");
    const tell = () => { out.textContent = bar.dataset.readout; };
    bar.addEventListener("pointerenter", tell);
    bar.addEventListener("pointerdown", tell);
  }
})();
