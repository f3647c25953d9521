// Keeps the page of `orch ui` up to date: asks for the status, and for the report when there is a newer one, and puts
// in only what has changed.  Whatever a person does with the page meanwhile stays: where it is scrolled to, what is
// open, selected, focused or pointed at.
(() => {
  "use strict";
  const EVERY = 2000, PATIENCE = 30000, TICK = 1000;
  const OWN = new Set(["open", "data-fetched"]);  // attributes that are the page's own and not the server's
  const byId = (id) => document.getElementById(id);
  const shown = { status: "", report: "" };  // ETags
  let query = location.search, behind = 0, homeTime = 0, answered = Date.now();
  let waitingStatus = null, waitingReport = null, polling = false, timer = 0;

  // --- times, in the words of orchestrator/progress/durations.py ---

  const duration = (seconds) =>
    seconds < 120 ? `${seconds.toFixed(0)} s`
      : seconds < 7200 ? `${(seconds / 60).toFixed(0)} min`
        : seconds < 172800 ? `${(seconds / 3600).toFixed(1)} h` : `${(seconds / 86400).toFixed(1)} days`;

  function tellTimes() {
    const now = Date.now() / 1000 + behind;  // by the home's clock
    for (const time of document.querySelectorAll("time[data-since], time[data-until]")) {
      const since = time.dataset.since;
      const text = since === undefined ? duration(Math.max(0, time.dataset.until - now)) : `${duration(Math.max(0, now - since))} ago`;
      if (time.textContent !== text && !isSelected(time)) time.textContent = text;
    }
  }

  // --- what a person has in hand ---

  function isSelected(node) {
    const selection = document.getSelection();
    return selection !== null && !selection.isCollapsed && selection.containsNode(node, true);
  }

  const isInHand = (part) =>
    isSelected(part) || part.contains(document.activeElement) || part.querySelector("figure:hover, table:hover") !== null;

  // --- the status: old nodes become like the new ones, so that hover, focus and open details stay ---

  function morph(old, fresh) {
    if (old.isEqualNode(fresh)) return true;
    if (old.nodeType === Node.TEXT_NODE) {
      if (old.data === fresh.data) return true;
      if (isSelected(old)) return false;
      old.data = fresh.data;
      return true;
    }
    if (old.nodeType !== Node.ELEMENT_NODE) return true;
    for (const { name, value } of [...fresh.attributes]) if (!OWN.has(name) && old.getAttribute(name) !== value) old.setAttribute(name, value);
    for (const { name } of [...old.attributes]) if (!OWN.has(name) && !fresh.hasAttribute(name)) old.removeAttribute(name);
    if (old.matches(".fetched")) return true;  // its content is asked for by itself
    if (old.matches("time")) return true;  // its text follows from its attributes
    return morphChildren(old, fresh);
  }

  function morphChildren(old, fresh) {
    let whole = true;
    const named = new Map([...old.children].filter((child) => child.id).map((child) => [child.id, child]));
    let at = old.firstChild;
    for (const child of [...fresh.childNodes]) {
      const alike = child.id ? named.get(child.id) : at !== null && !at.id && at.nodeName === child.nodeName ? at : undefined;
      if (alike === undefined || alike.nodeName !== child.nodeName) {
        old.insertBefore(document.importNode(child, true), at);
        continue;
      }
      if (alike === at) at = at.nextSibling;
      else old.insertBefore(alike, at);
      whole = morph(alike, child) && whole;
    }
    while (at !== null) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    return whole;
  }

  function showStatus() {
    if (waitingStatus === null) return;
    const fresh = waitingStatus, before = anchor();
    if (morph(byId("status"), fresh)) waitingStatus = null;
    document.title = fresh.dataset.title;
    for (const details of document.querySelectorAll("details.job[open]")) fetchDetails(details);
    tellTimes();
    keep(before);
  }

  // --- the report: sections that have changed are put in whole, when nobody has them in hand ---

  const keyOf = (part) => part.id || part.getAttribute("aria-labelledby") || part.className;
  const raw = new Map();  // as they came: charts change what stands in the page

  function showReport() {
    if (waitingReport === null) return;
    const report = byId("report"), parts = [...waitingReport.children], keys = parts.map(keyOf);
    const there = new Map([...report.children].map((part) => [keyOf(part), part]));
    const put = [];
    let whole = true;
    for (const [key, part] of there) {
      if (keys.includes(key)) continue;
      if (isInHand(part)) whole = false;
      else part.remove(), raw.delete(key);
    }
    const before = anchor();
    let last = null;
    parts.forEach((part, index) => {
      const key = keys[index], old = there.get(key), html = part.outerHTML;
      if (old !== undefined && old.isConnected && raw.get(key) === html) { last = old; return; }
      if (old !== undefined && old.isConnected && isInHand(old)) { whole = false; last = old; return; }
      const fresh = document.importNode(part, true);
      if (old !== undefined && old.isConnected) {
        const state = stateOf(old);
        old.replaceWith(fresh);
        giveState(fresh, state);
      } else if (last === null) report.prepend(fresh);
      else last.after(fresh);
      raw.set(key, html);
      put.push(fresh);
      last = fresh;
    });
    if (whole) waitingReport = null;
    for (const fresh of put) fresh.dispatchEvent(new Event("orch:shown", { bubbles: true }));
    keep(before);
  }

  function stateOf(part) {
    return {
      open: new Set([...part.querySelectorAll("details[open]")].map(nameOf)),
      checked: [...part.querySelectorAll("input")].map((box) => box.checked),
      lefts: [...part.querySelectorAll(".scroll")].map((track) => track.scrollLeft),
    };
  }

  const nameOf = (details) => details.id || details.querySelector("summary")?.textContent.trim();

  function giveState(part, { open, checked, lefts }) {
    for (const details of part.querySelectorAll("details")) details.open ||= open.has(nameOf(details));
    part.querySelectorAll("input").forEach((box, index) => { box.checked = checked[index] ?? box.checked; });
    part.querySelectorAll(".scroll").forEach((track, index) => { track.scrollLeft = lefts[index] ?? 0; });
  }

  // --- where the page is scrolled to ---

  const LANDMARKS = "h1, h2, h3, p, table, figure, details, pre, .banner";

  function anchor() {
    if (scrollY === 0) return null;
    for (const part of [...byId("status").children, ...byId("report").children]) {
      if (part.getBoundingClientRect().bottom < 0) continue;
      const inside = [...part.querySelectorAll(LANDMARKS)];
      const index = inside.findIndex((each) => each.getBoundingClientRect().bottom > 0);
      const node = index < 0 ? part : inside[index];
      return { key: keyOf(part), parent: part.parentElement, index, node, top: node.getBoundingClientRect().top };
    }
    return null;
  }

  function keep(before) {
    if (before === null) return;
    let node = before.node;
    if (!node.isConnected) {
      const part = [...before.parent.children].find((each) => keyOf(each) === before.key);
      if (part === undefined) return;
      node = before.index < 0 ? part : part.querySelectorAll(LANDMARKS)[before.index] ?? part;
    }
    const moved = node.getBoundingClientRect().top - before.top;
    if (Math.abs(moved) >= 1) scrollBy({ top: moved, behavior: "instant" });
  }

  // --- asking ---

  function parsed(html) {
    return new DOMParser().parseFromString(html, "text/html").body;
  }

  async function asked(path, etag) {
    const headers = etag ? { "If-None-Match": etag } : {};
    const answer = await fetch(path, { headers, cache: "no-store", credentials: "omit", redirect: "error", signal: AbortSignal.timeout(PATIENCE) });
    if (!answer.ok && answer.status !== 304) throw new Error(`${answer.status}`);
    return answer;
  }

  async function poll() {
    clearTimeout(timer);
    if (polling || document.hidden) return;
    polling = true;
    const of = query;
    try {
      const answer = await asked(`status${of}`, shown.status);
      const told = Number(answer.headers.get("Orch-Home-Time"));
      // A time that is told again is of a home that is away: its clock goes on, and so do the ages.
      if (told > homeTime) [homeTime, behind] = [told, told - Date.now() / 1000];
      if (answer.status === 200 && of === query) {
        waitingStatus = parsed(await answer.text()).querySelector("#status");
        shown.status = answer.headers.get("ETag");
      }
      if (answer.headers.get("Orch-Report") !== shown.report) await askForReport();
      answered = Date.now();
      byId("away").hidden = true;
    } catch {
      byId("away-since").textContent = new Date(answered).toLocaleTimeString();
      byId("away").hidden = false;
    }
    polling = false;
    show();
    timer = setTimeout(poll, of === query ? EVERY : 0);
  }

  async function askForReport() {
    const answer = await asked("report", shown.report);
    if (answer.status !== 200) return;
    waitingReport = parsed(await answer.text());
    shown.report = answer.headers.get("ETag");
  }

  function show() {
    showStatus();
    showReport();
  }

  // --- a job's attempts, error and log ---

  async function fetchDetails(details) {
    if (details.dataset.fetched === details.dataset.version) return;
    const version = details.dataset.version, place = details.querySelector(".fetched");
    details.dataset.fetched = version;
    try {
      const answer = await asked(details.dataset.fetch);
      const fresh = parsed(await answer.text());
      if (isSelected(place)) throw new Error("selected");
      place.replaceChildren(...fresh.childNodes);
    } catch {
      delete details.dataset.fetched;
    }
  }

  document.addEventListener("toggle", (event) => {
    if (event.target.matches("details.job[data-fetch]") && event.target.open) fetchDetails(event.target);
  }, true);

  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-filter]");
    if (link === null || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    query = new URL(link.href).search;
    history.replaceState(null, "", query || location.pathname);
    byId("jobs").open = true;
    shown.status = "";
    poll();
  });

  document.addEventListener("visibilitychange", poll);
  setInterval(() => { tellTimes(); show(); }, TICK);
  for (const part of byId("report").children) raw.set(keyOf(part), part.outerHTML);
  poll();
})();
