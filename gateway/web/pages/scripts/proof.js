/* Check the draw: recompute the own position from what is public, here and now, and say it in words. */
var noted = 'draw.' + P.wave;
function lost() { put('result', t('offline.form')); }
function hex(words) { return words.map(function (w) { return ('0000000' + (w >>> 0).toString(16)).slice(-8); }).join(''); }
function framed(text) { /* UTF-8 behind its length in two bytes */
  var raw = unescape(encodeURIComponent(text)).split('').map(function (c) { return c.charCodeAt(0); });
  return [raw.length >> 8, raw.length & 255].concat(raw);
}
function seedOf(b) {
  var cohort = [0, 0, 0, 0, b.cohort >>> 24, b.cohort >>> 16 & 255, b.cohort >>> 8 & 255, b.cohort & 255];
  return hex(draw.sha256(draw.bytes(b.draw.secret).concat(framed(b.programme), framed(b.wave), framed(b.draw.beacon || ''), cohort)));
}
function check() {
  return call('GET', api + 'board').then(function (a) {
    var b = a.data, before = store(noted) || P.commitment, honest, place;
    if (a.status !== 200) { throw OFFLINE; }
    put('secret', b.draw.secret || '–');
    put('cohort', b.draw.secret ? t('draw.count', b) : '–');
    if (!b.draw.secret) {
      store(noted, P.commitment); /* noted while it says nothing yet: we are held to it */
      return put('result', t('draw.wait'));
    }
    honest = hex(draw.sha256(draw.bytes(b.draw.secret))) === before && seedOf(b) === b.draw.seed;
    return call('GET', api + 'place').then(function (mine) {
      var p = mine.data, values;
      if (mine.status !== 200) { return put('result', t(honest ? 'draw.all' : 'draw.wrong')); }
      place = draw.position(b.draw.seed, b.cohort, p.number);
      ['draw.mine', 'draw.later'].forEach(function (key) { /* as gateway verify-draw takes it: no separators */
        P.t[key] = P.t[key].replace('{number}', p.number);
      });
      honest = honest && (p.position === null || p.position === place);
      values = { position: place + 1, cohort: b.cohort };
      put('result', t(!honest ? 'draw.wrong' : p.number < b.cohort ? 'draw.mine' : 'draw.later', values));
    });
  });
}
press($('check'), check);
$('check').hidden = false;
check().then(null, lost);
