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

  // All details are open on paper.
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener("afterprint", () => closed.forEach((one) => { one.open = false; }));
})();
