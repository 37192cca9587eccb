// The page: one stream of sections while the tab is seen, each section drawn when it comes.
// Texts go in as text, never as HTML: anybody may like an item called <script>.
"use strict";

const SILENT_MS = 6000; // a section comes every second
const FAILED_MS = 5000;
const byId = (id) => document.getElementById(id);
const state = {};
let source = null;
let heardAt = 0;
let clockAhead = 0; // of the server's clock, in milliseconds
let announced = "Redis and the database answer";

// ---- words and numbers

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const number = (n) => (n == null ? "–" : whole.format(n));
const signed = (n) => (n > 0 ? "+" : "") + number(n);
const plural = (n, one, many) => `${number(n)} ${n === 1 ? one : many}`;

function rateWords(rate) {
  return Math.abs(rate) < 10 && rate % 1 !== 0 ? rate.toFixed(1) : number(rate);
}

function seconds(s) {
  if (s < 0.9995) return `${Math.max(1, Math.round(s * 1000))} ms`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return s < 172800 ? `${Math.round(s / 3600)} h` : `${Math.round(s / 86400)} days`;
}

function ago(moment) {
  const passed = (Date.now() + clockAhead - Date.parse(moment)) / 1000;
  if (passed < 1) return "just now";
  return passed < 120 ? `${Math.floor(passed)} s ago` : `${seconds(passed)} ago`;
}

// ---- elements

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child != null));
  return made;
}

function time(moment) {
  const made = element("time", { datetime: moment, title: moment });
  made.textContent = ago(moment);
  return made;
}

// Characters that are not seen but turn text around or hide in it; joiners make letters and emoji what they are.
const UNSEEN = /[\p{Cf}\p{Zl}\p{Zp}\u00a0\u115f\u1160\u3164]/u;
const JOINERS = "\u200c\u200d";

// An item, kept apart from the text around it whichever way it is written.
function named(item) {
  const parts = [...item].map((character) => UNSEEN.test(character) && !JOINERS.includes(character)
    ? element("span", { class: "unseen" }, `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`)
    : character);
  return element("bdi", { dir: "auto" }, ...parts);
}

function say(id, words) {
  const at = byId(id);
  if (at.textContent !== words) at.textContent = words;
}

// ---- sections

const draw = {
  now(now) {
    say("pending-delta", number(now.pending_delta));
    say("in-flight-delta", number(now.in_flight_delta));
    say("database-total", number(now.database_total));
    const oldest = now.oldest_pending_seconds == null ? "" : `, the oldest for ${seconds(now.oldest_pending_seconds)}`;
    say("pending-note", now.pending_items == null ? "unknown" : `likes of ${plural(now.pending_items, "item", "items")}${oldest}`);
    say("in-flight-note", now.in_flight_batches == null ? "unknown" : now.in_flight_batches ? `likes in ${plural(now.in_flight_batches, "batch", "batches")}` : "nothing is being written");
    say("database-note", now.database_items == null ? "unknown" : `likes of ${plural(now.database_items, "item", "items")}`);
    clockAhead = Date.parse(now.at) - Date.now();
  },

  rate(samples) {
    const shown = samples || [];
    const last = shown.at(-1);
    const most = shown.reduce((high, sample) => Math.max(high, sample.rate), 0);
    say("rate", last && !state.servers?.redis && !state.servers?.failed ? rateWords(last.rate) : "–");
    say("rate-note", last ? `at most ${rateWords(most)} in two minutes` : "counted from the second look on");
    drawLine(shown, most);
  },

  top(rows) {
    const shown = (rows || []).map((row) => ({ ...row, total: row.database + (row.in_flight || 0) + (row.pending || 0) }));
    shown.sort((a, b) => b.total - a.total);
    const most = Math.max(1, ...shown.map((row) => row.total));
    byId("most-liked-empty").hidden = shown.length > 0;
    fill(byId("most-liked"), shown, (row) => row.item, newRow, (li, row) => {
      li.querySelector(".total").textContent = number(row.total);
      for (const part of ["database", "in_flight", "pending"]) {
        const width = Math.max(0, row[part] || 0) / most * 100;
        li.querySelector(`.${part.replace("_", "-")}`).style.width = `${width}%`;
      }
    });
  },

  flushes(flushes) {
    const shown = flushes || [];
    byId("flushes").hidden = !shown.length;
    byId("flushes-empty").hidden = shown.length > 0;
    byId("flushes").tBodies[0].replaceChildren(...shown.map((flush) => {
      const took = (Date.parse(flush.ended_at) - Date.parse(flush.began_at)) / 1000;
      const figures = [signed(flush.delta), number(flush.items), number(flush.batches), seconds(took)];
      return element("tr", { title: `by ${flush.worker}` }, element("td", {}, time(flush.ended_at)),
        ...figures.map((words) => element("td", { class: "figure" }, words)));
    }));
  },

  workers(workers) {
    const shown = workers || [];
    byId("workers-empty").hidden = shown.length > 0;
    say("workers-empty", workers ? "No worker is alive, so nothing is flushed: start one with likes worker" : "Redis does not tell.");
    byId("workers").replaceChildren(...shown.map((worker) => {
      const flushed = worker.flushed_at ? element("span", {}, ", last flush ", time(worker.flushed_at)) : ", no flush yet";
      return element("li", { class: worker.trouble ? "is-in-trouble" : "" },
        element("span", { class: "symbol", "aria-hidden": "true" }, worker.trouble ? "⚠" : "✓"),
        element("strong", {}, worker.name),
        element("p", { class: "note" }, `${worker.doing}`, flushed, ", seen ", time(worker.seen_at)),
        worker.trouble ? element("p", { class: "note trouble" }, worker.trouble) : null);
    }));
  },

  servers(servers) {
    const told = [];
    if (servers.failed) told.push(["This cannot be read", servers.failed]);
    if (servers.redis) told.push(["Redis is away: likes are not accepted now", `${servers.redis.trouble}; missed since ${ago(servers.redis.since)}`]);
    if (servers.database) told.push(["The database is away: likes are accepted and wait in Redis", `${servers.database.trouble}; missed since ${ago(servers.database.since)}`]);
    byId("troubles").hidden = !told.length;
    byId("troubles").replaceChildren(...told.map(([what, why]) =>
      element("p", {}, element("strong", {}, element("span", { "aria-hidden": "true" }, "⚠ "), what), why)));
    for (const [name, trouble] of [["pending", servers.redis], ["in-flight", servers.redis], ["database", servers.database]]) {
      document.querySelector(`.place.${name}`).classList.toggle("is-old", Boolean(trouble || servers.failed));
    }
    draw.rate(state.rate);
    announce(told.map(([what]) => what).join(". ") || "Redis and the database answer");
  },

  attention() {
    const { incidents, dead_letters: letters, problems } = state;
    const open = (incidents?.open || 0) + (letters?.open || 0) + (problems?.length || 0);
    const known = incidents && letters;
    byId("attention").dataset.state = open ? "bad" : known ? "good" : "unknown";
    say("attention-symbol", open ? "⚠" : known ? "✓" : "…");
    const counts = [plural(incidents?.open || 0, "open incident", "open incidents"), plural(letters?.open || 0, "dead letter", "dead letters")];
    if (problems?.length) counts.push(plural(problems.length, "problem", "problems"));
    say("attention-words", open ? counts.join(", ") : known ? "No open incidents, no dead letters" : "Incidents and dead letters: unknown");
    byId("attention-list").replaceChildren(
      ...(problems || []).slice(0, 5).map((problem) => element("li", {}, element("p", { class: "what" }, problem))),
      ...(incidents?.newest || []).map(incidentEntry),
      ...(letters?.oldest || []).map(letterEntry),
      ...(letters?.open ? [element("li", {}, todo(letters.advice))] : []));
  },

  cache(cache) {
    const asked = cache ? cache.hits + cache.misses : 0;
    byId("cache").hidden = !cache;
    say("cache-rate", asked ? `${(100 * cache.hits / asked).toFixed(1)} %` : "–");
    say("cache-note", cache ? `of ${plural(asked, "read", "reads")}` : "");
  },
};
draw.incidents = draw.dead_letters = draw.problems = draw.attention;

function todo(advice) {
  return element("p", { class: "todo" }, element("b", {}, "What to do: "), advice);
}

function incidentEntry(incident) {
  const where = incident.shard == null ? "" : ` in shard ${incident.shard}`;
  const lost = incident.delta == null ? "" : `; ${signed(incident.delta)} lost for certain`;
  return element("li", {},
    element("p", { class: "what" }, `${incident.kind.replaceAll("_", " ")}${where}, `, time(incident.at)),
    element("p", {}, `${incident.meaning}${lost}.`),
    incident.exposed_from && element("p", { class: "note" }, `exposed: ${incident.exposed_from} to ${incident.exposed_to}`),
    todo(incident.advice),
    element("p", { class: "note" }, "then: ", element("code", {}, `likes incidents resolve ${incident.id}`)));
}

function letterEntry(letter) {
  const delta = letter.delta == null ? "no number" : signed(letter.delta);
  return element("li", {},
    element("p", { class: "what" }, `Dead letter ${letter.id}: ${delta} for `, named(letter.item)),
    element("p", { class: "note" }, `${letter.reason}, `, time(letter.at)));
}

function newRow(row) {
  const bar = element("div", { class: "bar", "aria-hidden": "true" },
    ...["database", "in-flight", "pending"].map((part) => element("span", { class: part })));
  return element("li", {}, named(row.item), element("span", { class: "total" }), bar);
}

// Keep the elements of rows that stay, so that bars grow and a screen reader's place is not lost.
function fill(list, rows, keyOf, make, update) {
  const kept = new Map([...list.children].map((child) => [child.key, child]));
  const wanted = rows.map((row) => {
    const child = kept.get(keyOf(row)) || make(row);
    child.key = keyOf(row);
    update(child, row);
    return child;
  });
  if (wanted.length !== list.children.length || wanted.some((child, i) => child !== list.children[i])) {
    list.replaceChildren(...wanted);
  }
}

const WIDTH = 600, HEIGHT = 100, SPAN_MS = 120000;

function drawLine(samples, most) {
  const svg = byId("sparkline");
  const low = samples.reduce((least, sample) => Math.min(least, sample.rate), 0);
  const end = samples.length ? Date.parse(samples.at(-1).at) : 0;
  const points = samples.map((sample) => [
    WIDTH - (end - Date.parse(sample.at)) / SPAN_MS * WIDTH,
    HEIGHT - (sample.rate - low) / Math.max(1, most - low) * (HEIGHT - 4),
  ]).filter(([x]) => x >= 0);
  const ground = HEIGHT - (0 - low) / Math.max(1, most - low) * (HEIGHT - 4);
  const line = points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(" L");
  const paths = [["ground", `M0,${ground.toFixed(1)} H${WIDTH}`]];
  if (points.length > 1) {
    paths.push(["area", `M${points[0][0].toFixed(1)},${ground.toFixed(1)} L${line} V${ground.toFixed(1)} Z`], ["line", `M${line}`]);
  }
  svg.replaceChildren(...paths.map(([name, d]) => {
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("class", name);
    path.setAttribute("d", d);
    return path;
  }));
  const last = samples.at(-1);
  svg.setAttribute("aria-label", last ? `line of the last two minutes: now ${rateWords(last.rate)}, at most ${rateWords(most)}` : "no figures yet");
}

// ---- the stream

const CONNECTION = {
  connecting: ["…", "connecting"],
  live: ["●", "live"],
  paused: ["⏸", "paused"],
  away: ["⚠", "no connection"],
};

function connection(name, words = CONNECTION[name][1]) {
  byId("connection").dataset.state = name;
  document.querySelector("#connection .symbol").textContent = CONNECTION[name][0];
  say("connection-words", words);
}

// Told to a screen reader: what changed for good, never a number that goes up.
function announce(words) {
  if (words !== announced) byId("said").textContent = words;
  announced = words;
}

function heard(event) {
  const sections = JSON.parse(event.data);
  Object.assign(state, sections);
  heardAt = Date.now();
  connection("live");
  for (const [name, section] of Object.entries(sections)) {
    if (section != null || name !== "now") draw[name]?.(section);
  }
  say("as-of", state.now?.database_at ? `Totals of the database: ${ago(state.now.database_at)}.` : "\u00a0");
}

function open() {
  if (source) return;
  source = new EventSource("v1/overview/events");
  source.addEventListener("overview", heard);
  source.addEventListener("error", () => {
    connection("away");
    if (source && source.readyState === EventSource.CLOSED) {
      close();
      setTimeout(comeBack, FAILED_MS);
    }
  });
}

function close() {
  source?.close();
  source = null;
}

// The stream was refused: too many of them, or the session is over.
async function comeBack() {
  if (document.hidden || source) return;
  try {
    const page = await fetch("./", { cache: "no-store" });
    if (page.redirected) location.reload(); // to the form
    else open();
  } catch {
    setTimeout(comeBack, FAILED_MS);
  }
}

function seenOrNot() {
  if (document.hidden) {
    close();
    connection("paused");
  } else {
    connection("connecting");
    open();
  }
}

document.addEventListener("visibilitychange", seenOrNot);
addEventListener("pagehide", close);
addEventListener("pageshow", seenOrNot);
setInterval(() => {
  for (const at of document.querySelectorAll("time")) {
    const words = ago(at.dateTime);
    if (at.textContent !== words) at.textContent = words;
  }
  if (source && heardAt && Date.now() - heardAt > SILENT_MS) connection("away", `no news for ${seconds((Date.now() - heardAt) / 1000)}`);
}, 1000);
