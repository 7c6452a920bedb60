"use strict";
// The console's one page. It knows what /v1/status tells, asks again each second, and changes nothing that
// was not planned first: every control opens the gateway's own plan, and only "Apply" writes.

const at = (id) => document.getElementById(id);
const number = (value, digits = 0) => value == null ? "–" : value.toLocaleString("en-US", { maximumFractionDigits: digits });
const clock = (iso) => iso ? iso.slice(11, 16) : "–";
const ROLES = ["viewer", "helpdesk", "operator", "admin"];
const ZONES = { "+07:00": "WIB", "+08:00": "WITA", "+09:00": "WIT" };
const isWall = location.pathname === "/wall";
let me = null, chosen = null, wave = null, told_at = null, planned = null, acted = 0, seen = 0, charted = null, revision = null;

document.body.classList.toggle("wall", isWall);
for (const kind of ["keydown", "pointerdown", "pointermove"]) addEventListener(kind, () => { acted = Date.now(); }, { passive: true });

async function ask(method, path, { body, headers = {}, query = {} } = {}) {
  const asked = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value != null));
  const json = body === undefined ? {} : { "Content-Type": "application/json" };
  const answer = await fetch(`${path}${asked.size ? `?${asked}` : ""}`, {
    method, headers: { Accept: "application/json", "Accept-Language": "en", ...json, ...headers },
    body: body === undefined ? undefined : JSON.stringify(body), credentials: "same-origin", redirect: "error",
    signal: AbortSignal.timeout(5000),
  });
  const document_ = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(said(document_)), { status: answer.status, problem: document_ });
  return { document: document_, revision: answer.headers.get("ETag") };
}

function said(problem) {
  const errors = (problem.errors ?? []).map((error) => `${error.pointer.slice(1) || "a field"} ${error.detail}`);
  return [`${problem.title}: ${problem.detail ?? ""}`, ...errors].join("\n");
}

// Header values are bytes: the gateway reads UTF-8, fetch writes Latin-1.
const bytes = (text) => String.fromCharCode(...new TextEncoder().encode(text));

function element(tag, text, name) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (name) made.className = name;
  return made;
}

function row(cells, name) {
  const made = element("tr", "", name);
  made.append(...cells.map(([text, kind]) => element("td", text, kind)));
  return made;
}

function tell(text) {
  at("told").textContent = text;
  setTimeout(() => { if (at("told").textContent === text) at("told").textContent = ""; }, 6000);
}

// ---- logging in

at("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  at("login-error").textContent = "";
  try {
    me = (await ask("POST", "/v1/session", { headers: { Authorization: `Bearer ${at("credential").value.trim()}` } })).document;
    at("credential").value = "";
    enter();
  } catch (error) {
    at("login-error").textContent = error.problem ? error.message : "The gateway does not answer.";
  }
});

at("logout").addEventListener("click", async () => {
  await ask("DELETE", "/v1/session").catch(() => {});
  leave();
});

function leave() {
  me = null;
  at("console").hidden = true;
  at("login").hidden = false;
  if (at("dialog").open) at("dialog").close();
  at("credential").focus();
}

function enter() {
  at("login").hidden = true;
  at("console").hidden = false;
  document.body.classList.toggle("viewer", isWall || ROLES.indexOf(me.role) < ROLES.indexOf("operator"));
  at("who").textContent = `${me.id} (${me.role})`;
  look();
}

// ---- looking, each second

let round = 0;
async function look() {
  if (!me) return;
  const began = Date.now();
  try {
    const { document: status } = await ask("GET", "/v1/status");
    seen = Date.now();
    await show(status);
    if (round % 5 === 0) await showSlow();
    if (round % 60 === 59) await ask("GET", "/v1/session", { headers: Date.now() - acted < 60000 ? { "X-Active": "1" } : {} });
    round += 1;
  } catch (error) {
    if (error.status === 401) return leave();
    troubles([`The gateway does not answer: what is shown is ${Math.round((Date.now() - seen) / 1000)} s old.`], []);
  }
  setTimeout(look, Math.max(100, 1000 - (Date.now() - began)));
}

function troubles(bad, notices) {
  at("troubles").replaceChildren(...bad.map((text) => element("p", text)), ...notices.map((text) => element("p", text, "notice")));
}

async function show(status) {
  const waves = status.waves;
  if (at("wave").children.length !== waves.length) {
    at("wave").replaceChildren(...waves.map((each) => Object.assign(element("option", each.wave), { value: each.wave })));
    at("wave").hidden = waves.length < 2;
    at("wave-name").hidden = waves.length > 1;
  }
  const living = waves.find((each) => each.phase && !["closed", "scheduled"].includes(each.phase)) ?? waves.find((each) => each.phase !== "closed") ?? waves[0];
  chosen ??= living.wave;
  wave = waves.find((each) => each.wave === chosen) ?? living;
  at("wave").value = wave.wave;
  at("wave-name").textContent = wave.wave;
  told_at = status.at;
  troubles([...status.reasons, ...status.alarms], status.notices);
  if (wave.phase === null) return;
  if (charted !== wave.wave) {
    charted = wave.wave;
    Charts.begin((await ask("GET", `/v1/waves/${wave.wave}/trail`)).document, zoneMinutes(wave.opens_at));
  }
  Charts.add(wave, status.traffic, Date.parse(status.at) / 1000);
  showHead(status);
  showFigures();
  showTraffic(status.traffic);
  showProcesses(status);
}

function showHead(status) {
  at("phase").textContent = wave.phase.toUpperCase();
  at("dot").className = `dot ${wave.phase}`;
  document.title = `${wave.wave} ${wave.phase} – ${number(wave.waiting)} waiting`;
  const early = ["scheduled", "prequeue"].includes(wave.phase), next = early ? wave.opens_at : wave.closes_at;
  const left_s = (Date.parse(next) - Date.parse(status.at)) / 1000, zone = ZONES[next.slice(-6)] ?? "";
  const day = new Date(next).toLocaleDateString("en-GB", { weekday: "short", day: "numeric", month: "short", timeZone: { WIB: "Asia/Jakarta", WITA: "Asia/Makassar", WIT: "Asia/Jayapura" }[zone] });
  at("when").textContent = left_s > 0 ? `${early ? "opens" : "closes"} ${day} ${clock(next)} ${zone}, in ${span(left_s)}` : early ? "opens now" : "closed";
  at("age").textContent = `data ${wave.age_s.toFixed(1)} s old`;
  at("age").classList.toggle("bad", wave.stale);
}

function span(seconds) {
  const minutes = Math.round(seconds / 60);
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (minutes < 90) return `${minutes} min`;
  return minutes < 2880 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${Math.floor(minutes / 1440)} d ${Math.floor(minutes % 1440 / 60)} h`;
}

function showFigures() {
  const { policy } = wave;
  for (const name of ["waiting", "outstanding", "accepted", "backlog"]) at(name).textContent = number(wave[name]);
  at("outstanding-of").textContent = `on the form, of ${number(policy.form_cap)}`;
  at("accepted-of").textContent = `registered, of ${number(policy.quota)}`;
  at("outstanding-bar").style.width = `${Math.min(100, 100 * wave.outstanding / policy.form_cap)}%`;
  at("accepted-bar").style.width = `${Math.min(100, 100 * wave.accepted / Math.max(1, policy.quota))}%`;
  at("admitted-rate").textContent = number(Charts.pace("admitted"), 1);
  const held = wave.rate_per_s < policy.rate_per_s - 0.001 ? `, held at ${number(wave.rate_per_s, 1)}` : "";
  at("admitted-of").textContent = `admitted a second, of ${number(policy.rate_per_s, 1)}${held}`;
  at("backlog-of").textContent = wave.backlog ? `pending, the oldest ${number(wave.oldest_s, 1)} s` : "pending for the store";
  at("honesty").textContent = wave.eta_honesty == null ? "–" : `${Math.round(100 * wave.eta_honesty)} %`;
  at("pause").firstChild.textContent = wave.phase === "paused" ? "Resume… " : "Pause… ";
  if (revision !== wave.revision) { // somebody has changed it: fields that nobody is in follow
    revision = wave.revision;
    for (const field of at("knobs").querySelectorAll("input[name]")) if (field !== document.activeElement) field.value = policy[field.name];
  }
}

// What comes to all processes, whatever its wave; the polls that are expected are of this one.
function showTraffic(traffic) {
  for (const name of ["hits", "pages", "polls", "shed", "throttled"]) at(name).textContent = number(traffic[`${name}_per_s`], 0);
  at("shed").classList.toggle("bad", traffic.shed_per_s > 0);
  at("polls-of").textContent = `polls, expected ${number(wave.polls_expected_per_s)} of ${number(wave.policy.poll_budget_per_s)} at most`;
}

function showProcesses(status) {
  const deliveries = status.deliveries.map((each) => [[each.process], [each.delivery.circuit === "closed" ? "delivers" : `circuit ${each.delivery.circuit}`, each.delivery.circuit === "closed" ? "good" : "bad"], ["–", "n"], ["–", "n"], [`${each.age_s.toFixed(1)} s`, "n"]]);
  const doors = status.processes.map((each) => [[each.process], [each.accepting ? "yes" : "no", each.accepting ? "good" : "bad"], [String(each.revisions?.[wave.wave] ?? "–"), "n"], [`${(each.snapshot_age_s ?? 0).toFixed(1)} s`, "n"], [`${each.age_s.toFixed(1)} s`, "n"]]);
  at("processes").replaceChildren(...[...doors, ...deliveries].map((cells) => row(cells)));
}

async function showSlow() {
  const [{ document: audit }, { document: outlook }] = await Promise.all([
    ask("GET", "/v1/audit", { query: { wave: wave.wave } }),
    ask("GET", `/v1/waves/${wave.wave}/forecast`),
  ]);
  at("history").replaceChildren(...(audit.records.length ? [] : [row([["–", "n"], ["–"], ["–"], ["nothing was changed yet"], [""]], "refused")]), ...audit.records.slice(0, 50).map((record) => row([
    [String(record.revision), "n"], [record.at.slice(11, 19)], [record.who], [did(record)], [record.reason || "–"],
  ], record.refused ? "refused" : "")));
  const timer = wave.timer ? [["back by itself", `${clock(wave.timer.until)}: ${Object.entries(wave.timer.fields).map(([name, value]) => `${name} ${value}`).join(", ")}`]] : [];
  at("forecast").replaceChildren(...[...Object.entries(ROWS).map(([name, text]) => [name, text(outlook.now, outlook.at)]), ...timer]
    .flatMap(([name, text]) => [element("dt", name), element("dd", text)]));
}

function did(record) {
  const changes = Object.entries(record.changes).map(([name, { before, after }]) => `${name} ${value(before)} → ${value(after)}`).join(", ");
  if (record.refused) return `refused (${record.refused}) ${changes}`;
  if (record.result) return `result: admitted ${record.result.before.admitted_per_s} → ${record.result.after.admitted_per_s}/s, registered ${record.result.before.registered_per_s} → ${record.result.after.registered_per_s}/s`;
  return [record.did && !record.did.startsWith("/") ? `${record.did}:` : record.did, changes, record.until && `until ${clock(record.until)}`].filter(Boolean).join(" ");
}

const value = (one) => typeof one === "string" ? `“${one}”` : typeof one === "boolean" ? (one ? "yes" : "no") : number(one, 3);
const later = (base, seconds) => new Date(Date.parse(base) + seconds * 1000 + 60000 * zoneMinutes(base)).toISOString().slice(11, 16);
const zoneMinutes = (iso) => Number(iso.slice(-6, -3)) * 60;
const range = (pair, base) => pair && pair[1] < 60 ? "at once" : pair ? `${later(base, pair[0])} – ${later(base, pair[1])}` : "unknown";
const ROWS = {
  "next in line": (told, base) => range(told.first_s, base),
  "median": (told, base) => range(told.median_s, base),
  "last in line": (told, base) => range(told.last_s, base),
  "places taken": (told) => told.full_at ? clock(told.full_at) : "not by these",
  "admitted": (told) => `${number(told.rate_per_s, 1)} /s`,
  "on the form": (told) => number(told.on_form),
  "store": (told) => `${number(told.store_per_s, 1)} /s`,
  "polls": (told) => `${number(told.polls_per_s)} /s`,
};

// ---- changing: plan, then apply

at("knobs").addEventListener("submit", (event) => {
  event.preventDefault();
  const fields = {};
  for (const field of at("knobs").querySelectorAll("input[name]")) {
    const wanted = field.type === "number" ? Number(field.value) : field.value;
    if (wanted !== wave.policy[field.name]) fields[field.name] = wanted;
  }
  if (fields.rate_per_s !== undefined && wave.policy.burst > Math.max(1, Math.floor(fields.rate_per_s))) fields.burst = Math.max(1, Math.floor(fields.rate_per_s));
  if (!Object.keys(fields).length) return void (at("knob-error").textContent = "Nothing is different from the policy in force.");
  plan("Plan of a change", { method: "PUT", path: "policy", body: fields, query: { for_s: at("for").value } });
});
at("pause").addEventListener("click", async () => {
  if (wave.phase !== "paused") return plan("Pause admissions", { method: "PUT", path: "policy", body: { paused: true }, tells: true });
  // The message goes with the pause that brought it, and with no other.
  const { document: audit } = await ask("GET", "/v1/audit", { query: { wave: wave.wave } });
  const said = audit.records.find((record) => !record.refused && record.changes.paused?.after)?.changes.message;
  const message = said && begin(said.after) === begin(wave.policy.message) ? { message: said.before } : {};
  plan("Resume admissions", { method: "PUT", path: "policy", body: { paused: false, ...message } });
});
at("undo").addEventListener("click", () => plan("Undo the last change", { method: "POST", path: "undo", body: {} }));

// What the messages of one pause have in common, however often its news has changed: since when it is.
const begin = (message) => /^sejak \/ since \S+ \S+/.exec(message)?.[0] ?? message;

// As `gateway ctl pause` says it: what stands on every page, in the wave's zone.
function pauseMessage(reason, news) {
  const zone = ZONES[wave.opens_at.slice(-6)] ?? "", since = new Date(Date.parse(told_at) + 60000 * zoneMinutes(wave.opens_at));
  return [`sejak / since ${clock(since.toISOString())} ${zone}`, reason, news && `kabar berikutnya / next news: ${news} ${zone}`].filter(Boolean).join(" · ");
}

async function plan(title, wish) {
  at("knob-error").textContent = "";
  try {
    const held = await ask("GET", `/v1/waves/${wave.wave}/policy`);
    const headers = { "If-Match": held.revision };
    const { document: answer } = await ask(wish.method, `/v1/waves/${wave.wave}/${wish.path}`, { body: wish.body, headers, query: { ...wish.query, dry_run: "1" } });
    planned = { ...wish, headers, wave: wave.wave };
    showPlan(title, answer);
  } catch (error) {
    at("knob-error").textContent = error.problem ? error.message : "The gateway does not answer: nothing was planned.";
  }
}

function showPlan(title, { changes, plan: told, confirm, timer }) {
  at("dialog-title").textContent = title;
  at("dialog-error").textContent = "";
  at("dialog-changes").textContent = Object.entries(changes).map(([name, { before, after }]) => `${name} ${value(before)} → ${value(after)}`).join(", ") + (timer && planned.query?.for_s ? `, back at ${clock(timer.until)}` : "");
  at("dialog-plan").tBodies[0].replaceChildren(...Object.entries(ROWS).map(([name, text]) => row([[name], [text(told.now, told.at), "n"], [text(told.after, told.at), "n"]])));
  at("dialog-warnings").replaceChildren(...told.warnings.map((text) => element("li", text)), ...(told.is_measured ? [] : [element("li", "too few have registered so far: times on the form are assumed")]));
  at("dialog-confirm").replaceChildren(...confirm.map((step) => {
    const label = element("label", `${step.name} is ${step.why}. Type ${step.value} to confirm.`);
    label.append(Object.assign(document.createElement("input"), { className: "confirm", autocomplete: "off", inputMode: "decimal" }));
    return label;
  }));
  at("tell").hidden = !planned.tells;
  at("reason").closest("label").hidden = Boolean(planned.tells);
  at("tell-text").value = at("tell-news").value = at("reason").value = "";
  at("dialog").showModal();
  (planned.tells ? at("tell-text") : at("dialog").querySelector(".confirm") ?? at("reason")).focus();
}

at("apply").addEventListener("submit", async (event) => {
  event.preventDefault();
  const { method, path, headers, tells } = planned, query = { ...planned.query };
  const text = at("tell-text").value.trim(), reason = tells ? text : at("reason").value.trim();
  if (!reason) return void (at("dialog-error").textContent = "Say why: it is kept with the change.");
  const confirmed = [...at("dialog").querySelectorAll(".confirm")].map((field) => field.value.trim()).filter(Boolean);
  if (confirmed.length) query.confirm = confirmed.join(",");
  const body = tells ? { ...planned.body, message: pauseMessage(text, at("tell-news").value) } : planned.body;
  try {
    const { document: answer } = await ask(method, `/v1/waves/${planned.wave}/${path}`, { body, query, headers: { ...headers, "X-Reason": bytes(reason) } });
    at("dialog").close();
    tell(`Revision ${answer.revision} is in force.`);
    round = 0;
  } catch (error) {
    at("dialog-error").textContent = error.problem ? error.message : "No answer came: look at the history before you try again.";
  }
});
at("cancel").addEventListener("click", () => at("dialog").close());
at("dialog").addEventListener("close", () => document.activeElement.blur()); // so that keys are keys again
at("wave").addEventListener("change", () => { chosen = at("wave").value; round = 0; });

// ---- keys

addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || at("dialog").open || at("console").hidden) return;
  if (event.key === "Escape") return void document.activeElement.blur();
  if (/^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === "w") return void location.assign(isWall ? "/" : "/wall");
  if (document.body.classList.contains("viewer")) return;
  const field = { r: "knob-rate", f: "knob-cap", m: "knob-message" }[event.key];
  const button = { p: "pause", u: "undo" }[event.key];
  if (field) { event.preventDefault(); at(field).focus(); at(field).select(); }
  if (button) { event.preventDefault(); at(button).click(); }
});

ask("GET", "/v1/session").then(({ document: who }) => { me = who; enter(); }, leave);
