/* The draw, as core/draw.py has it: position(seed in hex, cohort, number). ES5, SHA-256 (FIPS 180-4). */
var draw = (function () {
  'use strict';
  var K = [], H = [], n = 2;
  function fraction(x) { return (x - Math.floor(x)) * 4294967296 | 0; }
  function prime(x) { for (var d = 2; d * d <= x; d += 1) { if (x % d === 0) { return false; } } return true; }
  while (K.length < 64) {
    if (prime(n)) {
      if (H.length < 8) { H.push(fraction(Math.pow(n, 1 / 2))); }
      K.push(fraction(Math.pow(n, 1 / 3)));
    }
    n += 1;
  }
  function turn(x, by) { return x >>> by | x << (32 - by); }
  function plus(s) { return function (x, i) { return x + s[i] | 0; }; }
  function bytes(hex) { return hex.match(/../g).map(function (x) { return parseInt(x, 16); }); }
  function word(x) { return [x >>> 24, x >>> 16 & 255, x >>> 8 & 255, x & 255]; }
  /* The digest of a list of bytes, as eight words. */
  function sha256(message) {
    var h = H.slice(), size = message.length, start, i, w, s, t1, t2;
    message = message.concat(128);
    while (message.length % 64 !== 56) { message.push(0); }
    message = message.concat(0, 0, 0, 0, word(size * 8));
    for (start = 0; start < message.length; start += 64) {
      w = []; s = h;
      for (i = 0; i < 64; i += 1) {
        if (i < 16) {
          t1 = start + 4 * i;
          w[i] = message[t1] << 24 | message[t1 + 1] << 16 | message[t1 + 2] << 8 | message[t1 + 3];
        } else {
          t1 = w[i - 15]; t2 = w[i - 2];
          w[i] = (turn(t1, 7) ^ turn(t1, 18) ^ t1 >>> 3) + w[i - 16] + w[i - 7] +
            (turn(t2, 17) ^ turn(t2, 19) ^ t2 >>> 10) | 0;
        }
        t1 = s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + (s[4] & s[5] ^ ~s[4] & s[6]) + K[i] + w[i];
        t2 = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + (s[0] & s[1] ^ s[0] & s[2] ^ s[1] & s[2]);
        s = [t1 + t2 | 0, s[0], s[1], s[2], s[3] + t1 | 0, s[4], s[5], s[6]];
      }
      h = h.map(plus(s));
    }
    return h;
  }
  function round(seed, r, half) { return sha256(seed.concat(r, word(half)))[0] >>> 0; }
  function position(hex, cohort, number) {
    var seed = bytes(hex), bits = 6, a, c, l, r, k;
    if (number >= cohort) { return number; }
    while (Math.pow(2, bits) < cohort) { bits += 1; }
    a = bits >> 1; c = bits - a;
    do { /* walk until inside the cohort */
      l = Math.floor(number / Math.pow(2, c)); r = number % Math.pow(2, c);
      for (k = 0; k < 10; k += 1) {
        if (k % 2) { r = (r ^ round(seed, k, l) % Math.pow(2, c)) >>> 0; }
        else { l = (l ^ round(seed, k, r) % Math.pow(2, a)) >>> 0; }
      }
      number = l * Math.pow(2, c) + r;
    } while (number >= cohort);
    return number;
  }
  return { position: position, sha256: sha256, bytes: bytes };
}());
