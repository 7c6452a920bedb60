/* Whoever has script waits on the page that is made for it; a link that says how to update is meant. */
if (window.fetch && location.search.indexOf('auto=') < 0) {
  location.replace(location.pathname.replace(/\/wait$/, '') + location.search);
}
