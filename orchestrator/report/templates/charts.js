// Puts the interactive chart in the place of each picture as it comes near the window; on paper the picture stays.
"use strict";
(() => {
  const options = {
    mode: "vega-lite",
    renderer: "svg",
    // Vega's own interpreter of expressions: the page's policy forbids `eval`.
    ast: true,
    actions: false,
    defaultStyle: false,
    tooltip: { theme: "orch", disableDefaultStyle: true },
  };
  const drawn = new Map();

  async function draw(figure) {
    const alive = figure.querySelector(".alive");
    const specification = figure.querySelector("script[type='application/json']");
    const chart = await vegaEmbed(alive, JSON.parse(specification.textContent), options);
    drawn.set(figure, chart);
    alive.hidden = false;
    figure.dataset.drawn = "";
  }

  const near = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        near.unobserve(entry.target);
        draw(entry.target);
      }
    },
    { rootMargin: "800px" },
  );

  document.addEventListener("orch:shown", (event) => {
    for (const [figure, chart] of drawn) {
      if (figure.isConnected) continue;
      chart.finalize();
      drawn.delete(figure);
    }
    const shown = event.target;
    const figures = [...shown.querySelectorAll("figure.chart")];
    if (shown instanceof Element && shown.matches("figure.chart")) figures.push(shown);
    for (const figure of figures) if (!("drawn" in figure.dataset)) near.observe(figure);
  });
})();
