/* The wait of somebody with a number: from the board where it is far, in words, with a bar and a bell. */
var wait = (function () {
  'use strict';
  var told = 0; /* the end of the wait as last shown, ms */

  /* The place of somebody far from the front, as the board tells it; null for those who must ask. */
  function from(board, number) {
    var seat, farS, ahead, perS = board.advance_per_s;
    if (board.phase !== 'open' || !board.draw.seed) { return null; }
    seat = draw.position(board.draw.seed, board.cohort, number);
    if (seat < board.near) { return null; }
    farS = (seat - board.near) / board.approach_per_s;
    ahead = seat - board.called;
    board.number = number; board.position = seat; board.ahead = ahead;
    board.outlook = ahead < board.places_left ? 'likely' : 'unlikely';
    board.eta_s = perS && [ahead / perS * 0.85, ahead / perS * 1.25];
    board.poll_s = Math.min(board.stretch * Math.min(120, Math.max(4, 0.5 * farS)), 0.8 * farS + 4);
    return board;
  }
  /* Nobody is moved back by whom it happens to ask; the bar needs where it began. */
  function least(p) {
    var before = (store(P.wave) || '').split('-');
    if (+before[0] !== p.number) { before = [p.number, p.ahead, p.ahead]; }
    before[1] = Math.min(p.ahead, before[1]);
    store(P.wave, before.join('-'));
    $('bar').value = 1 - before[1] / before[2] || 0;
    return before[1];
  }
  function at(iso, seconds) { /* the wave's own clock: its offset is the one that the server wrote */
    var end = new Date(Date.parse(iso.slice(0, 19) + 'Z') + seconds * 1000);
    return end.toISOString().slice(11, 16).replace(':', P.colon);
  }
  function time(p) {
    var eta = p.eta_s, ends, before = told;
    if (!eta) { return t('waiting.unknown'); }
    told = ends = Date.parse(p.at) + eta[1] * 1000;
    return t(before && ends > before + 300000 ? 'waiting.grew' : 'waiting.eta', {
      a: at(p.at, eta[0]), b: at(p.at, eta[1]), m1: Math.floor(eta[0] / 60), m2: Math.ceil(eta[1] / 60)
    });
  }
  function show(p) {
    var values = { ahead: least(p), position: p.position + 1 };
    var more = [t('waiting.place', values), t('waiting.left', p), t('selection')];
    var early = p.outlook === 'unlikely' ? t('waiting.unlikely') + ' ' : ''; /* told before all else */
    window.show('waiting', {
      tab: t('waiting.tab', values), status: t('waiting.status', values) + ' ' + time(p),
      text: early + t('waiting.text'), message: p.message, more: more.join(' ')
    }, (mayTell() ? ['tell'] : []).concat('refresh', 'still', 'leave'));
  }
  function mayTell() {
    return window.isSecureContext && window.Notification && Notification.permission === 'default';
  }
  function tell(button) { /* asked for after a tap, never by itself */
    return Notification.requestPermission().then(function (answer) {
      button.hidden = true;
      put('note', t('tell.' + answer));
    });
  }
  function find() { location.href = '/receipts?lang=' + P.language; return Promise.resolve(); }
  return { from: from, show: show, tell: tell, find: find };
}());
if (shown === 'shut') { later(0, 0); } /* shown before its words had come */
/* Whoever may not join is told why, and has time to read it. Who is registered may have a receipt to show. */
(function (plainly) {
  window.refused = function (a) {
    var outside = !joined;
    plainly(a);
    if (/already-registered$/.test(a.data.type)) {
      joined = true; called = far = false;
      show('already', {}, ['find']); later(30, 0.3);
    }
    if (outside && a.status === 403) { put('note', a.data.title + '. ' + a.data.detail); later(30, 0.3); }
  };
}(refused));
/* What goes with a state. Who sees a wave close at another time than its page was made with needs the
   words of today's. */
(function (plainly) {
  function beside(state) {
    var number = P.t['waiting.number'].replace('{number}', mine); /* as the help desk types it: no separators */
    if (joined && mine >= 0 && /^(waiting|paused)$/.test(state)) { put('more', ($('more').textContent + ' ' + number).trim()); }
    if (state === 'left') { store('form.' + P.wave, null); } /* the phone may be another's next */
    if (joined === false && t('outside.' + state)) { put('text', t('outside.' + state)); } /* nobody's place is promised */
    $('bar').hidden = state !== 'waiting' || !$('bar').value;
  }
  window.show = function (state, more, buttons) {
    var isEnd = state === 'closed' && shown && shown !== state;
    plainly(state, more, buttons);
    beside(state);
    if (isEnd) {
      call('GET', api + 'board').then(function (a) {
        if (a.status === 200 && a.data.closes_at.slice(0, 16) !== t('closes_at')) { location.reload(); }
      }, function () { /* the rest is told all the same */ });
    }
  };
  beside(shown); /* before this script had come */
}(show));
