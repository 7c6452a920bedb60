/* The applicant's page: asks the API as often as the server says, and shows what it answers.
   ES5 and fetch. Text only ever enters the page as text. */
(function () {
  'use strict';
  var P = JSON.parse(document.getElementById('texts').textContent);
  var api = '/v1/waves/' + P.wave + '/';
  var timer, clock, opensAt = 0, skew = 0, fails = 0, shown = '', receipt = '', joined = false;
  var busy = false, formOpen = false, until = '';
  var mine = -1, far = false; /* the own number; whether the board, the same for everybody, will do */
  var apart = false; /* whether the first long wait has been spread widely */
  var called = false; /* it is our turn, and a pass is being waited for */
  var kept = 'form.' + P.wave;
  var OFFLINE = {}; /* thrown where no answer came */
  var shownAhead = 'ahead.' + P.wave; /* "number-ahead" as last shown: another process may know less */

  function $(id) { return document.getElementById(id); }
  function t(key, values) {
    return (P.t[key] || '').replace(/\{(\w+)\}/g, function (_, name) {
      return values && values[name] !== undefined ? values[name] : name === 'wave' ? P.name : '';
    });
  }
  function number(n) { return String(n).replace(/\B(?=(\d{3})+(?!\d))/g, P.group); }
  function least(ahead) { /* nobody is moved back by whom it happens to ask */
    var before;
    try {
      before = (sessionStorage.getItem(shownAhead) || '').split('-');
      if (+before[0] === mine && before[1]) { ahead = Math.min(ahead, +before[1]); }
      sessionStorage.setItem(shownAhead, mine + '-' + ahead);
    } catch (_) { /* private mode */ }
    return ahead;
  }
  function hm(iso) { return iso.slice(11, 16).replace(':', P.colon); }
  function later(s, what, spread) { /* spread: the width of the jitter, as a share of the wait */
    spread = spread === undefined ? 0.3 : spread;
    clearTimeout(timer);
    timer = setTimeout(what, Math.max(200, s * 1000 * (1 - spread / 2 + spread * Math.random())));
  }
  function firstFar() { /* a crowd that came together must not come back together */
    var spread = apart ? 0.3 : 1;
    apart = true;
    return spread;
  }
  function call(method, path, body, bearer) {
    var headers = { Accept: 'application/json', 'Accept-Language': P.language };
    if (bearer) { headers.Authorization = 'Bearer ' + bearer; }
    if (body) { headers['Content-Type'] = 'application/json'; }
    return fetch(path, {
      method: method, headers: headers, credentials: 'same-origin', body: body && JSON.stringify(body)
    }).then(null, function () { throw OFFLINE; }).then(function (r) {
      return r.text().then(function (text) {
        var data = {};
        try { data = JSON.parse(text) || {}; } catch (_) { /* a proxy's page: the status is enough */ }
        if (fails > 1) { put('note', t('offline.back')); }
        fails = 0;
        return { status: r.status, data: data };
      });
    });
  }
  function put(id, text) {
    var e = $(id);
    if (e.textContent !== text) { e.textContent = text; }
    if (id === 'note' || id === 'big') { e.hidden = !text; }
  }
  function show(state, parts) {
    if (shown !== state) {
      if (shown === 'form') { $('form').hidden = true; }
      $('errors').textContent = '';
      actions(parts.buttons || []);
      shown = state;
    }
    put('title', parts.title);
    document.title = (state === 'admitted' || state === 'form' ? '● ' : '') + parts.title;
    put('status', parts.status || '');
    put('text', parts.text || '');
    put('more', parts.more || '');
    put('big', parts.big || '');
    put('note', parts.note || '');
    if (state !== 'scheduled' && state !== 'prequeue') { clearInterval(clock); clock = 0; }
  }
  function actions(names) {
    var box = $('actions');
    while (box.firstChild) { box.removeChild(box.firstChild); }
    names.forEach(function (name) {
      var b = document.createElement('button');
      b.textContent = t('button.' + name);
      if (/leave|extend|print|move/.test(name)) { b.className = 'quiet'; }
      b.onclick = function () { if (!busy) { ACT[name](b); } };
      box.appendChild(b);
    });
  }
  function once(button, promise) {
    busy = true; button.disabled = true;
    return promise.then(done, function (e) { done(); lost(e); });
    function done() { busy = false; button.disabled = false; }
  }

  var ACT = {
    join: function (b) { once(b, join()); },
    again: function (b) { once(b, join()); },
    claim: function () { openForm(); },
    print: function () { window.print(); },
    move: function () { location.href = '/waves/' + P.wave + '/device?lang=' + P.language; },
    leave: function (b) {
      if (window.confirm(t('leave.sure'))) {
        once(b, call('DELETE', api + 'place').then(function () { formOpen = false; tick(); }));
      }
    },
    extend: function (b) {
      once(b, call('POST', api + 'pass/extension').then(function (a) {
        if (a.status === 200) { until = a.data.expires_at; }
        tick();
      }));
    }
  };

  function join() {
    return call('POST', api + 'tickets').then(function (a) {
      if (a.status === 200 || a.status === 201) { joined = true; shown = ''; return tick(); }
      if (a.status === 403) { return join(); }
      refused(a, join);
    });
  }
  function refused(a, again) {
    var wait = (a.data.retry_in_ms || 3000) / 1000;
    if (a.status === 429 || a.status >= 500) {
      put('note', a.status === 503 && /recovering$/.test(a.data.type || '') ? t('recovering.text') : t('busy.text'));
      later(wait, again);
    } else { joined = false; later(2, look); }
  }
  function lost(error) {
    if (error !== OFFLINE) { setTimeout(function () { throw error; }); } /* a mistake of ours: told, and tried again */
    fails += 1;
    if (fails > 1) { put('note', t('offline.text')); }
    later(Math.min(300, 5 * Math.pow(2, fails)), tick);
  }
  function tick() {
    clearTimeout(timer);
    return (receipt ? askReceipt() : !joined ? look() : called ? claim() : far ? askFar() : askPlace()).then(null, lost);
  }

  /* Not joined: the board, the same for everybody. */
  function look() {
    return call('GET', api + 'board').then(function (a) {
      if (a.status !== 200) { return refused(a, tick); }
      var board = a.data;
      skew = Date.parse(board.at) - Date.now();
      var phase = board.phase, mayJoin = phase === 'prequeue' || phase === 'open';
      var parts = { title: t('scheduled.title', { when: P.opens }), note: board.message };
      if (phase === 'scheduled' || phase === 'prequeue') {
        parts.text = t(phase === 'scheduled' ? 'scheduled.text' : 'join.text');
        parts.more = P.before;
        countdown(P.opens_iso);
        parts.big = $('big').textContent;
      } else if (phase === 'open') {
        parts.title = P.title; parts.text = t('join.now');
        parts.more = t('waiting.left', { left: number(board.places_left), quota: number(board.quota) });
      } else {
        parts.title = t(phase + '.title'); parts.text = t(phase + '.text', { when: P.closes });
      }
      parts.buttons = mayJoin ? ['join'] : [];
      show(mayJoin ? 'join-' + phase : phase, parts);
      later(Math.min(board.poll_s, 60), tick);
    });
  }
  function countdown(iso) {
    opensAt = Date.parse(iso);
    if (clock) { return; }
    clock = setInterval(paint, 1000);
    paint();
    function paint() {
      var s = Math.max(0, Math.round((opensAt - Date.now() - skew) / 1000));
      var parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
      put('big', t('countdown', { time: parts.map(function (n) { return (n < 10 ? '0' : '') + n; }).join(':') }));
    }
  }

  /* Joined: one's own place. */
  function askPlace() {
    return call('GET', api + 'place').then(function (a) {
      if (a.status !== 200) { return refused(a, tick); }
      var p = a.data;
      mine = p.number;
      if (p.ahead !== null) { p.ahead = least(p.ahead); }
      skew = Date.parse(p.at) - Date.now();
      /* The look after the opening is spread by the server already, and is the board's. */
      var opening = p.state === 'prequeue' && p.poll_s * 1000 > Date.parse(P.opens_iso) - Date.parse(p.at);
      far = opening || p.state === 'waiting' && p.poll_s > 15;
      if (p.state === 'registered') { receipt = p.receipt; return askReceipt(); }
      if (p.state === 'called') { return claim(); }
      if (p.state === 'admitted') {
        until = p.expires_at;
        return admitted(p);
      }
      formOpen = false;
      VIEW[p.state] ? VIEW[p.state](p) : simple(p, p.state);
      later(p.poll_s, tick, opening ? 0 : p.state === 'waiting' && far ? firstFar() : undefined);
    });
  }
  /* Far from the front: position and wait follow from the board; nobody is asked anything personal. */
  function askFar() {
    return call('GET', api + 'board').then(function (a) {
      var b = a.data, place, ahead, farS, pollS;
      if (a.status !== 200) { return refused(a, tick); }
      if (b.phase !== 'open' || !b.draw.seed) { return askPlace(); }
      place = draw.position(b.draw.seed, b.cohort, mine);
      if (place < b.near) { return askPlace(); }
      ahead = least(place - b.called);
      farS = (place - b.near) / b.approach_per_s;
      pollS = Math.min(b.stretch * Math.min(120, Math.max(4, 0.5 * farS)), 0.8 * farS + 4);
      VIEW.waiting({
        at: b.at, ahead: ahead, message: b.message, outlook: ahead < b.places_left ? 'likely' : 'unlikely',
        eta_s: b.advance_per_s && [ahead / b.advance_per_s * 0.85, ahead / b.advance_per_s * 1.25]
      });
      later(pollS, tick, firstFar());
    });
  }
  function simple(p, state) {
    var over = state === 'left' || state === 'missed';
    show(state, {
      title: t(state + '.title'), text: t(state + '.text', { when: P.closes }), note: p.message,
      buttons: over ? ['again'] : state === 'paused' ? ['leave'] : []
    });
  }
  var VIEW = {
    prequeue: function (p) {
      countdown(P.opens_iso);
      show('prequeue', {
        title: t('prequeue.title', { when: P.opens }), text: t('prequeue.text'), note: p.message,
        big: $('big').textContent, more: P.before + ' ' + t('selection.' + P.selection), buttons: ['move', 'leave']
      });
    },
    waiting: function (p) {
      var eta = p.eta_s, more = [t('selection.' + P.selection)];
      var time = t('waiting.unknown');
      if (eta) {
        time = t('waiting.eta', {
          a: at(p.at, eta[0]), b: at(p.at, eta[1]), zone: P.zone,
          m1: number(Math.floor(eta[0] / 60)), m2: number(Math.ceil(eta[1] / 60))
        });
      }
      if (p.outlook === 'unlikely') { more.unshift(t('waiting.unlikely')); }
      show('waiting', {
        title: t('waiting.title'), status: t('waiting.status', { ahead: number(p.ahead) }) + ' ' + time,
        text: t('waiting.text'), more: more.join(' '), note: p.message, buttons: ['move', 'leave']
      });
    }
  };
  function at(iso, seconds) { /* the wave's own clock: shift by the offset that the server wrote */
    var zone = iso.slice(-6), minutes = (+zone.slice(1, 3) * 60 + +zone.slice(4)) * (zone[0] === '-' ? -1 : 1);
    return hm(new Date(Date.parse(iso) + seconds * 1000 + minutes * 60000).toISOString());
  }
  function claim() {
    return call('POST', api + 'pass').then(function (a) {
      called = a.status === 202 && a.data.state === 'called';
      if (a.status === 202) {
        show('called', { title: t('called.title'), text: t('called.text'), buttons: ['leave'] });
        return later(a.data.retry_in_ms / 1000, tick);
      }
      if (a.status === 200 || a.status === 201) { until = a.data.expires_at; return admitted(null); }
      refused(a, tick);
    });
  }
  function admitted(p) {
    if (formOpen) {
      put('status', t('form.until', { t: hm(until), zone: P.zone }));
    } else {
      show('admitted', {
        title: t('admitted.title'), status: t('admitted.text', { t: hm(until), zone: P.zone }),
        note: p && p.message, buttons: ['claim', 'extend', 'leave']
      });
    }
    later(p ? Math.max(5, p.poll_s) : 10, tick);
  }

  /* The form, as the schema tells it. */
  function openForm() {
    call('GET', api + 'form').then(function (a) {
      if (a.status !== 200) { return refused(a, openForm); }
      formOpen = true;
      show('form', {
        title: t('form.title'), status: t('form.until', { t: hm(until), zone: P.zone }),
        buttons: ['extend', 'leave']
      });
      fields(a.data);
      $('form').hidden = false;
      $('form').elements[0].focus();
    }, lost);
  }
  function element(name, attributes, text) {
    var e = document.createElement(name), key;
    for (key in attributes) { e.setAttribute(key, attributes[key]); }
    if (text) { e.textContent = text; }
    return e;
  }
  function fields(schema) {
    var form = $('form'), values = {}, name;
    try { values = JSON.parse(sessionStorage.getItem(kept)) || {}; } catch (_) { /* private mode */ }
    while (form.firstChild) { form.removeChild(form.firstChild); }
    for (name in schema.properties) { field(form, name, schema.properties[name], schema.required, values[name]); }
    form.appendChild(element('button', {}, t('button.send')));
    form.oninput = keep;
    form.onsubmit = function (e) { e.preventDefault(); if (!busy) { send(form); } };
  }
  function field(form, name, f, required, value) {
    var kind = f['x-kind'], numeric = kind === 'nik' || kind === 'digits', input;
    var label = element('label', { 'for': name }, f.title);
    if (required.indexOf(name) < 0) { label.appendChild(element('span', { 'class': 'soft' }, ' ' + t('form.optional'))); }
    form.appendChild(label);
    if (f.description) { form.appendChild(element('p', { id: name + '-hint', 'class': 'soft' }, f.description)); }
    form.appendChild(element('p', { id: name + '-error', 'class': 'error', hidden: '' }));
    if (f.oneOf) {
      input = element('select', {});
      input.appendChild(element('option', { value: '' }, t('form.choose')));
      f.oneOf.forEach(function (c) { input.appendChild(element('option', { value: c['const'] }, c.title)); });
    } else {
      input = element('input', {
        type: kind === 'birth-date' ? 'date' : kind === 'phone' ? 'tel' : kind === 'email' ? 'email' : 'text'
      });
      if (numeric) { input.setAttribute('inputmode', 'numeric'); }
      if (kind === 'phone') { input.setAttribute('autocomplete', 'tel'); }
      if (kind === 'email') { input.setAttribute('autocomplete', 'email'); }
    }
    input.id = input.name = name;
    input.setAttribute('data-kind', kind);
    input.setAttribute('aria-describedby', name + '-hint ' + name + '-error');
    if (value) { input.value = value; }
    form.appendChild(input);
  }
  function read(form, all) {
    var values = {}, i, e, kind;
    for (i = 0; i < form.elements.length; i += 1) {
      e = form.elements[i]; kind = e.getAttribute('data-kind');
      if (e.name && e.value && (all || kind !== 'nik')) {
        values[e.name] = kind === 'nik' || kind === 'digits' ? e.value.replace(/[\s.\-]/g, '') : e.value;
      }
    }
    return values;
  }
  function keep() { /* never the identity number */
    try { sessionStorage.setItem(kept, JSON.stringify(read($('form'), false))); } catch (_) { /* private mode */ }
  }
  function send(form) {
    var button = form.querySelector('button');
    put('status', t('form.sending'));
    once(button, call('POST', api + 'registrations', read(form, true)).then(function (a) {
      if (a.status === 201) {
        try { sessionStorage.removeItem(kept); sessionStorage.removeItem(shownAhead); } catch (_) { /* private mode */ }
        form.hidden = true; formOpen = false; receipt = a.data.receipt;
        return askReceipt();
      }
      if (a.status === 422) { return wrong(form, a.data.errors || []); }
      put('status', t('form.until', { t: hm(until), zone: P.zone }));
      put('errors', (a.data.title || '') + '. ' + (a.data.detail || ''));
      if (a.status === 410) { formOpen = false; later(2, tick); }
    }));
  }
  function wrong(form, errors) {
    var i, e, told = {};
    errors.forEach(function (x) { told[x.pointer.slice(1)] = x.code; });
    for (i = 0; i < form.elements.length; i += 1) {
      e = form.elements[i];
      if (e.name) {
        put(e.name + '-error', told[e.name] ? t('error.' + told[e.name]) : '');
        $(e.name + '-error').hidden = !told[e.name];
        e.setAttribute('aria-invalid', told[e.name] ? 'true' : 'false');
      }
    }
    put('status', t('form.until', { t: hm(until), zone: P.zone }));
    put('errors', t('form.errors', { n: errors.length }));
    $('errors').focus();
  }

  /* The receipt. */
  function askReceipt() {
    return call('GET', '/v1/registrations/' + receipt).then(function (a) {
      if (a.status !== 200) { return refused(a, tick); }
      var state = a.data.state, known = state === 'received' || state === 'recorded' ? state : 'rejected';
      show(known, {
        title: t(known + '.title'), status: t('receipt.reference') + ' ' + receipt.replace(/(.{4})(?=.)/g, '$1-'),
        text: t(known + '.text'), more: t('selection.' + P.selection), buttons: ['print']
      });
      if (!$('receipt-link')) {
        $('actions').appendChild(element('a', {
          id: 'receipt-link', 'class': 'button quiet', href: '/v1/registrations/' + receipt
        }, t('receipt.open')));
      }
      if (state === 'received') { later(2, tick); }
    });
  }

  document.addEventListener('visibilitychange', function () { if (!document.hidden && !busy && !formOpen) { later(0.3, tick); } });
  /* A place that moves here comes behind '#', which no server and no log ever sees. */
  var moved = /^#t=([\w-]+)$/.exec(location.hash);
  if (moved) { history.replaceState(null, '', location.pathname + location.search); }
  (moved ? call('POST', api + 'tickets', null, moved[1]) : Promise.resolve()).then(function (a) {
    if (a && a.status !== 200) { put('note', (a.data.title || '') + ' ' + (a.data.detail || '')); }
    return call('GET', api + 'place');
  }).then(function (a) { joined = a.status === 200; return tick(); }).then(null, lost);
}());
