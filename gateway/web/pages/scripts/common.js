/* What the pages' scripts share: asking the API, writing text. ES5 and fetch.
   Text only ever enters the page as text. */
var P = JSON.parse($('facts').textContent), page = '/waves/' + P.wave, api = '/v1' + page + '/';
var OFFLINE = {}; /* thrown where no answer came */
var busy = false, quietUntil = 0;

function $(id) { return document.getElementById(id); }
function t(key, values) { /* a number is told as people write it */
  return (P.t[key] || '').replace(/\{(\w+)\}/g, function (_, name) {
    return String((values || {})[name]).replace(/^\d{4,}$/, function (n) { return n.replace(/\B(?=(\d{3})+$)/g, P.group); });
  });
}
function put(id, text) {
  var e = $(id);
  if (e.textContent !== text) { e.textContent = text; }
  e.hidden = !text;
}
/* For those who listen: whole sentences, never the same twice, once a minute unless it is urgent. */
function say(text, urgent) {
  if (urgent || Date.now() > quietUntil) { quietUntil = Date.now() + 60000; put('live', text); }
}
function call(method, path, body, bearer) {
  var headers = { 'Accept-Language': P.language };
  if (bearer) { headers.Authorization = 'Bearer ' + bearer; }
  if (body) { headers['Content-Type'] = 'application/json'; }
  return fetch(path, { method: method, headers: headers, credentials: 'same-origin', body: body }).then(function (r) {
    return r.text().then(function (text) {
      var data = {};
      try { data = JSON.parse(text); } catch (_) { /* nothing, or a proxy's page: the status is enough */ }
      return { status: r.status, data: data };
    });
  }).then(null, function () { throw OFFLINE; });
}
function press(button, act) { /* however often it is pressed meanwhile, it acts once */
  button.onclick = function (e) {
    e.preventDefault();
    if (busy) { return; }
    busy = button.disabled = true;
    act().then(null, lost).then(function () { busy = button.disabled = false; });
  };
}
function go(path) { location.replace(path + '?lang=' + P.language); }
