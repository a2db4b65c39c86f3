/* The page works without this: figures are drawn, tables whole. It makes figures answer and tables sort. */
(function () {
  "use strict";
  var root = document;
  function all(selector, within) { return Array.prototype.slice.call((within || root).querySelectorAll(selector)); }

  // Figures: the drawing is replaced by the same definition, drawn by Vega without making code from text.
  function enliven(figure) {
    var script = figure.querySelector(".definition"), live = figure.querySelector(".live"), still = figure.querySelector(".still");
    if (!script || figure.dataset.state) { return; }
    figure.dataset.state = "drawing";
    var options = {
      ast: true, renderer: "svg", actions: false, defaultStyle: false, hover: true, logLevel: 1,
      tooltip: { disableDefaultStyle: true }
    };
    live.hidden = false;
    window.vegaEmbed(live, JSON.parse(script.textContent), options).then(function () {
      var drawing = live.querySelector("svg"), label = still.querySelector("svg").getAttribute("aria-label");
      function whole() {  // one picture with one label, as it was: its parts are numbers, and these are beside it
        all("[role]", drawing).forEach(function (part) {
          ["role", "aria-roledescription", "aria-label"].forEach(function (name) { part.removeAttribute(name); });
        });
      }
      whole();
      new MutationObserver(whole).observe(drawing, { childList: true, subtree: true });
      drawing.setAttribute("role", "img");
      drawing.setAttribute("aria-label", label);
      still.hidden = true;
      figure.dataset.state = "live";
      all(".vega-bind", live).forEach(function (bind) {
        var name = bind.querySelector(".vega-bind-name"), control = bind.querySelector("select");
        if (name && control) { control.setAttribute("aria-label", name.textContent.trim()); }
      });
    }, function (error) {
      live.hidden = true;
      figure.dataset.state = "still";
      window.console.error(figure.id + ": " + error);
    });
  }
  function closed(element) {
    var folded = element.parentElement.closest("details");
    return folded && !folded.open;
  }
  if (window.vegaEmbed) {
    all("figure").forEach(function (figure) { if (!closed(figure)) { enliven(figure); } });
    all("details").forEach(function (folded) {
      folded.addEventListener("toggle", function () { if (folded.open) { all("figure", folded).forEach(enliven); } });
    });
  }

  // Tables: a button in each heading sorts; a long one can be narrowed down to rows that hold a text.
  function key(cell) {
    var text = (cell.firstChild ? cell.firstChild.textContent : "").trim().replace(/\u2212/g, "-").replace(/,(?=\d{3})/g, "");
    var number = parseFloat(text);
    return { text: text, number: /^[-+]?[\d.]/.test(text) && !isNaN(number) ? number : null };
  }
  function compare(a, b) {
    if (a.number !== null && b.number !== null) { return a.number - b.number; }
    if (a.number !== null) { return 1; }
    if (b.number !== null) { return -1; }
    return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
  }
  function sortable(table) {
    var body = table.tBodies[0], headings = all("thead th", table);
    if (body.rows.length < 2) { return; }
    headings.forEach(function (heading, column) {
      var label = heading.querySelector("span"), button = root.createElement("button");
      button.type = "button";
      button.textContent = label.textContent;
      heading.replaceChild(button, label);
      button.addEventListener("click", function () {
        var rising = heading.getAttribute("aria-sort") !== "ascending", sign = rising ? 1 : -1;
        headings.forEach(function (other) { other.removeAttribute("aria-sort"); });
        heading.setAttribute("aria-sort", rising ? "ascending" : "descending");
        Array.prototype.slice.call(body.rows)
          .map(function (row, place) { return { row: row, place: place, key: key(row.cells[column]) }; })
          .sort(function (a, b) { return sign * compare(a.key, b.key) || a.place - b.place; })
          .forEach(function (each) { body.appendChild(each.row); });
      });
    });
  }
  function filterable(table) {
    var rows = Array.prototype.slice.call(table.tBodies[0].rows);
    if (rows.length < 13) { return; }
    var line = root.createElement("p"), label = root.createElement("label"), input = root.createElement("input");
    line.className = "filter";
    input.type = "search";
    input.setAttribute("autocomplete", "off");
    label.append("Only rows with", input);
    line.append(label);
    var told = root.createElement("span");
    told.className = "soft";
    told.setAttribute("role", "status");
    line.append(" ", told);
    input.addEventListener("input", function () {
      var words = input.value.toLowerCase().split(/\s+/).filter(Boolean), shown = 0;
      rows.forEach(function (row) {
        var text = row.textContent.toLowerCase();
        row.hidden = !words.every(function (word) { return text.indexOf(word) >= 0; });
        shown += row.hidden ? 0 : 1;
      });
      told.textContent = words.length ? shown + " of " + rows.length + " rows" : "";
    });
    var scroll = table.closest(".scroll");
    scroll.parentElement.insertBefore(line, scroll);
  }
  all("table").forEach(function (table) { if (table.tHead) { sortable(table); filterable(table); } });

  // What is folded is printed, and opened where a link leads into it.
  var opened = [];
  window.addEventListener("beforeprint", function () {
    opened = all("details:not([open])");
    opened.forEach(function (folded) { folded.open = true; });
  });
  window.addEventListener("afterprint", function () { opened.forEach(function (folded) { folded.open = false; }); });
  function reveal() {
    var target = location.hash && root.getElementById(decodeURIComponent(location.hash.slice(1)));
    for (var at = target; at; at = at.parentElement) { if (at.tagName === "DETAILS") { at.open = true; } }
    if (target) { target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", reveal);
  if (location.hash) { reveal(); }
})();
