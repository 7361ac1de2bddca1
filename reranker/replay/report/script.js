// Filters and what is open, kept in the address: a link to the page is a link to what one sees. Without this script the
// page shows everything.
"use strict";
(() => {
  const filters = [...document.querySelectorAll("input[data-filter]")];
  const state = () => new URLSearchParams(location.hash.slice(1));

  const keep = (change) => {
    const params = state();
    change(params);
    const text = params.toString();
    history.replaceState(null, "", text ? "#" + text : location.pathname + location.search);
  };

  const apply = (input) => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const area = document.getElementById(input.dataset.filter);
    const all = area.querySelectorAll("[data-find]");
    let shown = 0;
    for (const each of all) {
      each.hidden = !words.every((word) => each.dataset.find.includes(word));
      shown += each.hidden ? 0 : 1;
    }
    document.getElementById(input.dataset.filter + "-count").textContent = shown ? `${shown} of ${all.length} shown` : "nothing is found";
  };

  const restore = () => {
    const params = state();
    for (const input of filters) {
      input.value = params.get(input.dataset.filter) || "";
      apply(input);
    }
    const open = (params.get("open") || "").split(",");
    for (const each of document.querySelectorAll("details[id]")) each.open = open.includes(each.id);
    const at = params.get("at") || [...params.keys()].find((key) => params.get(key) === "" && document.getElementById(key));
    const target = at && document.getElementById(at);
    target?.closest("details")?.setAttribute("open", "");
    target?.scrollIntoView();
  };

  // A stop for the Tab key where there is something to scroll, and nowhere else.
  const stops = () => {
    for (const each of document.querySelectorAll(".scroll")) {
      if (each.scrollWidth > each.clientWidth) each.tabIndex = 0;
      else each.removeAttribute("tabindex");
    }
  };

  for (const input of filters) {
    input.addEventListener("input", () => {
      apply(input);
      keep((params) => (input.value ? params.set(input.dataset.filter, input.value) : params.delete(input.dataset.filter)));
    });
  }
  for (const each of document.querySelectorAll("details[id]")) {
    each.addEventListener("toggle", () => {
      keep((params) => {
        const open = [...document.querySelectorAll("details[id][open]")].map((one) => one.id);
        if (open.length) params.set("open", open.join(","));
        else params.delete("open");
      });
      stops();
    });
  }
  for (const link of document.querySelectorAll("nav a, a.skip")) {
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const target = document.getElementById(link.getAttribute("href").slice(1));
      keep((params) => params.set("at", target.id));
      target.scrollIntoView();
      target.querySelector("h2, h1")?.focus();
    });
  }
  addEventListener("hashchange", restore);
  addEventListener("resize", stops);
  restore();
  stops();
})();
