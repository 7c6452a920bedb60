/* It is your turn: the form that works without script, with its answers kept, its time told, and its
   errors shown without losing a word. */
var form = $('form'), kept = 'form.' + P.wave, skew = Date.parse(P.at) - Date.now(), warned = 99, opener, clock;

function lost(error) {
  if (error !== OFFLINE) { setTimeout(function () { throw error; }); }
  fail(t('offline.form'));
}
function fail(text) { put('errors', text); $('errors').focus(); }
function hm(iso) { return iso.slice(11, 16).replace(':', P.colon); }
function each(act) { Array.prototype.forEach.call(form.querySelectorAll('[data-kind]'), act); }
function digits(text) { return text.replace(/[\s.\-]/g, ''); }
function numeric(e) { return /nik|digits/.test(e.getAttribute('data-kind')); }
function read(all) {
  var values = {};
  each(function (e) {
    if (e.value && (all || e.getAttribute('data-kind') !== 'nik')) { values[e.name] = numeric(e) ? digits(e.value) : e.value; }
  });
  return values;
}
function restore() { /* what the server has shown again after an error is newer */
  var values = JSON.parse(store(kept) || '{}');
  each(function (e) { if (!e.value && values[e.name]) { e.value = values[e.name]; } });
  return Object.keys(values).length;
}
function help(e) { /* what one looks for in sixteen digits: is one missing? */
  var kind = e.getAttribute('data-kind'), text = digits(e.value), phone = /^(?:\+?62|0)(8\d{8,11})$/.exec(text);
  if (numeric(e)) { tell(e, text && t('form.digits', { n: text.length, most: e.getAttribute('data-length') })); }
  if (kind === 'phone') { tell(e, phone ? t('form.phone', { phone: '+62 ' + phone[1].replace(/(\d{3})(\d{4})(\d+)/, '$1-$2-$3') }) : ''); }
}
function tell(e, text) { put(e.id + '-help', text); }

function minutes() {
  var m = Math.max(0, Math.ceil((Date.parse(P.until) - Date.now() - skew) / 60000));
  var text = t(!m ? 'form.ended' : form.hidden ? 'admitted.text' : 'form.until', { t: hm(P.until), m: m }) + (m && m < 6 && !form.hidden ? ' ' + t('form.minutes', { m: m }) : '');
  put('status', text);
  $('back').hidden = m > 0;
  form.querySelector('button').disabled = busy || !m;
  [5, 1, 0].forEach(function (mark) { if (m <= mark && warned > mark) { warned = mark; say(text, 1); } });
}
function send() {
  put('errors', ''); put('sending', t('form.sending')); say(t('form.sending'), 1);
  return call('POST', api + 'registrations', JSON.stringify(read(true))).then(function (a) {
    put('sending', '');
    if (a.status === 201) {
      store(kept, null); store(P.wave, null);
      go(page + '/wait');
      return new Promise(function () { /* leaving: until the new page is there, nothing can be pressed again */ });
    }
    if (a.status === 422) { return wrong(a.data.errors || []); }
    if (/already-registered$/.test(a.data.type)) { return already(); }
    fail((a.data.title || t('offline.form')) + '. ' + (a.data.detail || ''));
    if (a.status === 409) { store(kept, null); } /* the phone may be another's next */
    if (a.status === 410 || a.status === 401) { P.until = P.at; minutes(); }
  }, function (e) { put('sending', ''); throw e; });
}
function already() { /* nothing more to fill in; leaving gives the place to somebody else */
  store(kept, null); clearInterval(clock);
  form.hidden = true;
  if ($('extend')) { $('extend').hidden = true; }
  put('title', t('already.title')); put('status', t('already.text'));
  document.title = t('already.title');
  $('back').textContent = t('button.find'); $('back').href = '/receipts?lang=' + P.language;
  $('back').hidden = false;
  $('title').focus();
}
function wrong(errors) {
  var codes = {}, list = document.createElement('ul');
  errors.forEach(function (x) { codes[x.pointer.slice(1)] = x.code; });
  each(function (e) {
    var code = codes[e.name], text = code ? t('error.' + code) : '', item, link;
    if (code && numeric(e) && e.value) { text += ' ' + t('form.typed', { n: digits(e.value).length }); }
    put(e.id + '-error', text);
    e.setAttribute('aria-invalid', code ? 'true' : 'false');
    if (!code) { return; }
    item = list.appendChild(document.createElement('li')); link = item.appendChild(document.createElement('a'));
    link.href = '#' + e.id; link.textContent = form.querySelector('label[for=' + e.id + ']').textContent + ': ' + text;
    link.onclick = function (event) { event.preventDefault(); e.focus(); };
  });
  put('errors', t('form.errors', { n: errors.length }));
  $('errors').appendChild(list);
  $('errors').focus();
}
function unfold() {
  form.hidden = false;
  if (opener) { opener.hidden = true; }
  put('title', t('form.title'));
  store(kept, JSON.stringify(read(false)));
  minutes();
}

form.noValidate = true;
each(function (e) { e.oninput = function () { help(e); store(kept, JSON.stringify(read(false))); }; });
form.onsubmit = function (e) { e.preventDefault(); };
press(form.querySelector('button'), send);
/* What the server shows again with errors is open; else the turn is told first, and the form is a tap away. */
if (restore() || form.querySelector('[aria-invalid]')) { unfold(); } else {
  form.hidden = true;
  opener = form.parentNode.insertBefore(document.createElement('button'), form);
  opener.textContent = t('button.claim');
  opener.onclick = function () { unfold(); form.querySelector('[data-kind]').focus(); };
  if (document.hidden) {
    try { new Notification(t('admitted.title'), { body: t('tell.body', { t: hm(P.until) }), tag: P.wave }); } catch (_) { /* the title has to do */ }
  }
}
each(help);
if ($('extend')) {
  press($('extend'), function () {
    return call('POST', api + 'pass/extension?extensions_left=' + P.left).then(function (a) {
      if (a.status === 200) { P.left -= 1; P.until = a.data.expires_at; warned = 99; minutes(); }
      else { fail(a.data.title + '. ' + a.data.detail); $('extend').hidden = true; }
    });
  });
}
$('leave').onclick = function (e) {
  if (confirm(t('leave.sure'))) { store(kept, null); } else { e.preventDefault(); }
};
minutes();
clock = setInterval(minutes, 5000);
