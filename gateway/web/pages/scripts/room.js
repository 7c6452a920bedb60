/* The waiting page: asks as often as the server says, and shows what it answers. Whose turn it is goes
   on to the page that knows the person (/wait); this one is the same for everybody. */
var timer, clock, skew = 0, fails = 0, shown = '', still = false;
var joined; /* undefined until an answer tells */
var mine = -1, far = false; /* the own number; whether the board, the same for everybody, will do */
var apart = false; /* whether the first long wait has been spread widely */
var called = false; /* it is our turn, and a pass is being waited for */

function later(s, spread) { /* spread: the width of the jitter, as a share of the wait */
  clearTimeout(timer);
  if (!still) { timer = setTimeout(tick, Math.max(200, s * 1000 * (1 + spread * (Math.random() - 0.5)))); }
}
function firstFar() { /* a crowd that came together must not come back together */
  var spread = apart ? 0.3 : 1;
  apart = true;
  return spread;
}
function ask(method, path, bearer) {
  return call(method, path, null, bearer).then(function (a) {
    put('note', fails > 1 ? t('offline.back') : '');
    fails = 0; $('retry').hidden = true;
    return a;
  });
}
function show(state, more, buttons) {
  var fresh = shown !== state, box = $('actions'), held = box.contains(document.activeElement), id, parts = { title: t(state + '.title') || P.title, text: t(state + '.text') };
  for (id in more) { parts[id] = more[id]; }
  if (fresh) {
    shown = state; box.textContent = '';
    buttons.forEach(function (name) {
      var b = box.appendChild(document.createElement('button'));
      b.textContent = t('button.' + name);
      b.className = /join|again/.test(name) ? '' : 'quiet';
      press(b, function () { return (acts[name] || wait[name])(b); });
    });
    if (held) { $('title').focus(); }
    clearInterval(clock); put('big', '');
    if (parts.opens) { clock = setInterval(countdown, 1000); countdown(); }
  }
  parts.message = parts.message && t('message', parts);
  ['title', 'status', 'text', 'more', 'message'].forEach(function (id) { put(id, parts[id] || ''); });
  $('mine').hidden = !joined;
  document.title = parts.tab || parts.title;
  say(parts.title + '. ' + (parts.status || ''), fresh);
}
function countdown() {
  var s = Math.max(0, Math.round((Date.parse(P.opens_iso) - Date.now() - skew) / 1000));
  put('big', t('countdown', { time: Math.floor(s / 3600) + new Date(s * 1000).toISOString().slice(13, 19) }));
}

function join(first) { /* a ticket that is not ours is forgotten by the answer, so once more is enough */
  return ask('POST', api + 'tickets').then(function (a) {
    if (a.status < 202) { joined = true; return tick(); }
    return first && a.status === 403 ? join() : refused(a);
  });
}
var acts = {
  join: join, again: join,
  refresh: tick,
  still: function (b) { still = !still; b.textContent = t(still ? 'button.auto' : 'button.still'); return tick(); },
  leave: function () {
    return confirm(t('leave.sure')) ? ask('DELETE', api + 'place').then(tick) : Promise.resolve();
  }
};

function refused(a) {
  var s = Math.ceil((a.data.retry_in_ms || 3000) / 1000), why = { s: s };
  if (a.status === 429) { put('note', t('throttled.text', why)); }
  else if (a.status < 500) { joined = false; s = 2; }
  else if (/recovering$/.test(a.data.type)) { show('recovering', {}, []); }
  else if (joined) { put('note', t('busy.title') + '. ' + t('recovering.text')); }
  else { show('busy', { status: joined === false && t('busy.none'), text: t('busy.text', why) }, []); }
  later(s, 0);
}
function lost(error) {
  var s = [5, 30, 60, 120, 240, 300][Math.min(fails, 5)], text = t('offline.text', { s: s });
  if (error !== OFFLINE) { setTimeout(function () { throw error; }); } /* a mistake of ours: told, and tried again */
  fails += 1;
  if (fails > 1) { put('note', text); say(text, 1); $('retry').hidden = false; }
  later(s, 0.3);
}
function tick() {
  clearTimeout(timer);
  return (joined === undefined ? start() : called ? claim() : !joined || far ? askBoard() : askPlace()).then(null, lost);
}

function askBoard() {
  return ask('GET', api + 'board').then(function (a) {
    var b = a.data, phase = b.joins_paused ? 'shut' : b.phase, opens = /sch|pre/.test(phase);
    if (a.status !== 200) { return refused(a); }
    skew = Date.parse(b.at) - Date.now();
    if (joined) { /* far from the front all follows from the board: nobody is asked anything personal */
      b = window.wait && wait.from(b, mine);
      if (!b) { return askPlace(); }
      wait.show(b);
      return later(b.poll_s, firstFar());
    }
    show(phase === 'prequeue' ? 'join' : phase, phase === 'open' ? { status: t('waiting.left', b), more: t('selection') } :
      { message: b.message, opens: opens, more: opens && P.before }, /pre|op|pau/.test(phase) ? ['join'] : []);
    later(b.poll_s, 0.3);
  });
}
function askPlace() {
  return ask('GET', api + 'place').then(function (a) {
    var p = a.data, state = p.state, opens, opening;
    if (a.status !== 200) { return refused(a); }
    mine = p.number;
    skew = Date.parse(p.at) - Date.now();
    /* The look after the opening is spread by the server already, and is the board's. */
    opening = state === 'prequeue' && p.poll_s * 1000 > Date.parse(P.opens_iso) - Date.parse(p.at);
    far = opening || state === 'waiting' && p.poll_s > 15;
    if (/adm|reg/.test(state)) { return go(page + '/wait'); }
    if (state === 'called') { return claim(); }
    if (state === 'waiting' && window.wait) { wait.show(p); }
    else {
      opens = state === 'prequeue';
      show(state, { message: p.message, opens: opens, more: opens && P.before }, /left|mis/.test(state) ? ['again'] : /pre|pau/.test(state) ? ['still', 'leave'] : []);
    }
    later(p.poll_s, opening ? 0 : state === 'waiting' && far ? firstFar() : 0.3);
  });
}
function claim() {
  return ask('POST', api + 'pass').then(function (a) {
    called = a.status === 202 && a.data.state === 'called';
    if (a.status < 202) { return go(page + '/wait'); }
    if (a.status > 202) { return refused(a); }
    show('called', {}, ['leave']);
    later(a.data.retry_in_ms / 1000, 0.3);
  });
}

press($('retry'), tick);
function awake() { if (!document.hidden && !busy) { later(0.3, 0.3); } }
document.addEventListener('visibilitychange', awake);
window.addEventListener('online', awake);
window.addEventListener('pageshow', function (e) { if (e.persisted) { awake(); } });
/* A place that moves here comes behind '#', which no server and no log ever sees. */
var moved = /^#t=([\w-]+)$/.exec(location.hash);
if (moved) { history.replaceState(null, '', location.pathname + location.search); }
function start() {
  return (moved ? ask('POST', api + 'tickets', moved[1]) : ask('GET', api + 'place')).then(function (a) {
    if (a.status >= 500) { return refused(a); }
    joined = a.status === 200 || a.status === 429; /* only who holds a ticket asks too often */
    return tick().then(function () {
      if (moved) { put('note', joined ? t('moved') : a.data.title + '. ' + a.data.detail); }
    });
  });
}
/* A browser older than this script goes the way without. */
if (window.fetch) { tick(); } else { go(page + '/wait'); }
