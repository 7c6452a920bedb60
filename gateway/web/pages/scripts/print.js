/* A button that prints, where there is script to do it. */
(function () {
  var button = document.getElementById('print');
  button.hidden = false;
  button.onclick = function () { window.print(); };
}());
