/* What a tab keeps where it can: private modes and the windows inside other apps keep nothing, and all goes on. */
function store(name, value) { /* null forgets */
  try {
    return value === undefined ? sessionStorage.getItem(name) : value === null ? sessionStorage.removeItem(name) : sessionStorage.setItem(name, value);
  } catch (_) { return null; }
}
