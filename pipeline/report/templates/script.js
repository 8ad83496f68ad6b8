"use strict";
// The page shows everything without this script, except what depends on a click or a slider.
(() => {
  document.documentElement.classList.add("scripted");

  // A link to an image inside of closed details opens them, also where the browser does not.
  const reveal = () => {
    const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    for (let element = target; element; element = element.parentElement) {
      if (element.tagName === "DETAILS" && !element.open) element.open = true;
    }
    const first = target.matches("details") ? target.querySelector("summary") : null;
    (first || target).scrollIntoView({ block: "start" });
  };
  addEventListener("hashchange", reveal);
  reveal();

  const data = (id) => {
    const element = document.getElementById(id);
    return element ? JSON.parse(element.textContent) : null;
  };
  const percent = (share) => (Number.isFinite(share) ? `${(100 * share).toFixed(1)}\u202f%` : "–");

  // Places in a chart; the page says where its axes are, and which values they begin and end with.
  const plane = (id) => {
    const chart = document.getElementById(id);
    if (!chart) return null;
    const svg = chart.querySelector("svg");
    const [left, bottom, width, height] = chart.dataset.area.split(" ").map(Number);
    const [low, high, floor, ceiling] = chart.dataset.range.split(" ").map(Number);
    const add = (tag, name) => {
      const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
      element.setAttribute("class", name);
      svg.append(element);
      return element;
    };
    const line = add("path", "chosen");
    const marker = add("circle", "marker");
    marker.setAttribute("r", "5");
    const place = (x, y) => [left + ((x - low) / (high - low)) * width, bottom - ((y - floor) / (ceiling - floor)) * height];
    return {
      mark(x, y) {
        const known = Number.isFinite(x) && Number.isFinite(y);
        marker.style.display = known ? "" : "none";
        if (known) {
          const [across, up] = place(x, y);
          marker.setAttribute("cx", across);
          marker.setAttribute("cy", up);
        }
      },
      draw(points) {
        const known = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y)).map(([x, y]) => place(x, y));
        line.setAttribute("d", known.length ? `M${known.map((point) => point.join(" ")).join("L")}` : "");
      },
    };
  };

  const onInput = (form, update) => {
    form.hidden = false;
    form.addEventListener("input", update);
    form.addEventListener("submit", (event) => event.preventDefault());
    update();
  };

  const thresholds = document.getElementById("threshold");
  if (thresholds) {
    const classes = data("threshold-data");
    const charts = { precisionRecall: plane("chart-precision-recall"), roc: plane("chart-roc") };
    onInput(thresholds, () => {
      const one = classes[Number(thresholds.elements.class.value)];
      const step = Number(thresholds.elements.threshold.value);
      const recall = (at) => one.found[at] / one.images;
      const precision = (at) => one.found[at] / (one.found[at] + one.alarms[at]);
      const alarms = (at) => one.alarms[at] / one.others;
      thresholds.querySelector(".value").textContent = (step / 100).toFixed(2);
      // From a point of the curve of precision and recall to the next: level first, then straight up or down.
      charts.precisionRecall.draw(one.precisionRecall.flatMap(([x, y], at, all) => (at ? [[x, all[at - 1][1]], [x, y]] : [[x, y]])));
      charts.precisionRecall.mark(recall(step), precision(step));
      charts.roc.draw(one.roc);
      charts.roc.mark(alarms(step), recall(step));
      thresholds.querySelector("output").textContent = one.images
        ? `${one.found[step]} of ${one.images} images of ${one.name} are found (recall ${percent(recall(step))}). ` +
          `False alarms among ${one.others} other images: ${one.alarms[step]} (precision ${percent(precision(step))}).`
        : `There are no test images of ${one.name}.`;
    });
  }

  const coverage = document.getElementById("coverage");
  if (coverage) {
    const { answered, right } = data("coverage-data");
    const chart = plane("chart-coverage");
    onInput(coverage, () => {
      const step = Number(coverage.elements.score.value);
      coverage.querySelector(".value").textContent = (step / 100).toFixed(2);
      chart.mark(step / 100, right[step] / answered[step]);
      coverage.querySelector("output").textContent =
        `${answered[step]} of ${answered[0]} images are answered (${percent(answered[step] / answered[0])}); ` +
        `${percent(right[step] / answered[step])} of these answers are right. Wrong answers: ${answered[step] - right[step]}.`;
    });
  }

  // All details are open on paper.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
})();
