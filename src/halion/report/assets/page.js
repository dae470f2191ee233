// Draws the figures, sorts tables, shows the structure. Everything it shows is in the page already.
(function () {
  "use strict";
  const data = JSON.parse(document.getElementById("data").textContent);

  function drawFigures() {
    const settings = {
      displaylogo: false,
      responsive: true,
      // Named one by one: the library's own choice has a button that sends the data to a web service.
      modeBarButtons: [["zoom2d", "pan2d", "resetScale2d"]],
      displayModeBar: window.matchMedia("(hover: hover)").matches ? "hover" : false,
    };
    return Array.from(document.querySelectorAll(".drawing"), function (place) {
      const figure = data.figures[place.dataset.figure];
      const narrow = place.clientWidth < 480;
      const names = new Set(figure.data.filter((trace) => trace.showlegend !== false).map((trace) => trace.name));
      const longest = Math.max(...Array.from(names, (name) => (name || "").length), 1);
      const perRow = Math.max(1, Math.floor(place.clientWidth / (longest * 6.6 + 46)));
      const height = (narrow ? 340 : 430) + 23 * Math.ceil(names.size / perRow);
      // The legend starts a fixed distance under the axis, whatever the height.
      const plot = height - (figure.layout.margin.t + 56 + 23 * Math.ceil(names.size / perRow));
      const layout = Object.assign({}, figure.layout, { height: height });
      layout.legend = Object.assign({}, layout.legend, { y: -62 / plot });
      if (narrow) {
        layout.margin = Object.assign({}, layout.margin, { l: 54, r: 8 });
      }
      place.style.minHeight = height + "px";
      return Plotly.newPlot(place, figure.data, layout, settings);
    });
  }

  // The picture for print and the one to download are the same: it is in the page once.
  function pictureLinks() {
    document.querySelectorAll("figure.plot").forEach(function (figure) {
      figure.querySelector("a.svg").href = figure.querySelector("img.still").src;
    });
  }

  function sortTables() {
    document.querySelectorAll("table.sortable").forEach(function (table) {
      const headers = Array.from(table.tHead.rows[0].cells);
      headers.forEach(function (header, column) {
        header.addEventListener("click", function () {
          const up = header.getAttribute("aria-sort") !== "ascending";
          headers.forEach((other) => other.removeAttribute("aria-sort"));
          header.setAttribute("aria-sort", up ? "ascending" : "descending");
          const body = table.tBodies[0];
          Array.from(body.rows)
            .sort((one, other) => compare(one.cells[column], other.cells[column], up ? 1 : -1))
            .forEach((row) => body.appendChild(row));
        });
      });
    });
  }

  function compare(one, other, direction) {
    const a = one.dataset.value, b = other.dataset.value;
    if (a === "" || b === "") {
      return (a === "") - (b === ""); // missing values last, either way
    }
    const numbers = Number(a) - Number(b);
    return direction * (Number.isNaN(numbers) ? a.localeCompare(b) : numbers);
  }

  function copyButtons() {
    document.querySelectorAll("button.copy").forEach(function (button) {
      const label = button.textContent;
      button.addEventListener("click", function () {
        const place = document.getElementById(button.dataset.copy);
        const range = document.createRange();
        range.selectNodeContents(place);
        const chosen = window.getSelection();
        chosen.removeAllRanges();
        chosen.addRange(range);
        // The older call works on pages opened as files, where the clipboard interface may be refused.
        button.textContent = document.execCommand("copy") ? "Copied" : "Selected: press Ctrl+C";
        setTimeout(() => (button.textContent = label), 2000);
      });
    });
  }

  function hasWebGL() {
    try {
      const canvas = document.createElement("canvas");
      return Boolean(canvas.getContext("webgl2") || canvas.getContext("webgl"));
    } catch (error) {
      return false;
    }
  }

  const point = (v) => ({ x: v[0], y: v[1], z: v[2] });
  const minus = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
  const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
  const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  const unit = (a) => a.map((x) => x / Math.sqrt(dot(a, a)));

  function polyhedron(viewer, shape) {
    const vertices = [], normals = [], faces = [], edges = [];
    shape.triangles.forEach(function (triangle) {
      const normal = point(unit(cross(minus(triangle[1], triangle[0]), minus(triangle[2], triangle[0]))));
      triangle.forEach(function (corner, k) {
        faces.push(vertices.length);
        vertices.push(point(corner));
        normals.push(normal);
        edges.push([corner, triangle[(k + 1) % 3]]);
      });
    });
    const shapes = [
      viewer.addCustom({ vertexArr: vertices, normalArr: normals, faceArr: faces, color: shape.colour, opacity: 0.45 }),
    ];
    edges.filter((edge) => String(edge[0]) < String(edge[1])).forEach(function (edge) {
      shapes.push(viewer.addLine({ start: point(edge[0]), end: point(edge[1]), color: shape.colour }));
    });
    return shapes;
  }

  // Quaternion of the rotation whose rows are right, up, and towards the viewer.
  function quaternion(m) {
    const trace = m[0][0] + m[1][1] + m[2][2];
    const q = [
      Math.sqrt(Math.max(0, 1 + m[0][0] - m[1][1] - m[2][2])) / 2,
      Math.sqrt(Math.max(0, 1 - m[0][0] + m[1][1] - m[2][2])) / 2,
      Math.sqrt(Math.max(0, 1 - m[0][0] - m[1][1] + m[2][2])) / 2,
      Math.sqrt(Math.max(0, 1 + trace)) / 2,
    ];
    q[0] = Math.abs(q[0]) * Math.sign(m[2][1] - m[1][2] || 1);
    q[1] = Math.abs(q[1]) * Math.sign(m[0][2] - m[2][0] || 1);
    q[2] = Math.abs(q[2]) * Math.sign(m[1][0] - m[0][1] || 1);
    return q;
  }

  function lookAlong(viewer, axes, k, tilt) {
    const towards = unit(axes[k]);
    const upward = axes[k === 2 ? 1 : 2];
    const up = unit(minus(upward, towards.map((x) => x * dot(upward, towards))));
    const view = viewer.getView();
    quaternion([cross(up, towards), up, towards]).forEach((x, j) => (view[4 + j] = x));
    viewer.setView(view);
    if (tilt) {
      viewer.rotate(15, "vy");
      viewer.rotate(10, "vx");
    }
    viewer.render();
  }

  function showDensity() {
    const place = document.getElementById("density-viewer");
    if (!place || !data.density) {
      return;
    }
    const message = document.getElementById("density-message");
    if (!hasWebGL() || typeof $3Dmol === "undefined") {
      place.remove();
      message.textContent = "This browser has no WebGL: the density is in the files beside this report.";
      return;
    }
    try {
      buildDensity(place, data.density);
    } catch (error) {
      place.remove();
      message.textContent = "The 3-D view could not start (" + error.message + ").";
    }
  }

  // Gaussian's cube format, which 3Dmol.js reads for cells of any shape: lengths in Bohr.
  function cubeOf(scene) {
    const bohr = (v) => v.map((x) => (x / 0.529177).toFixed(6)).join(" ");
    const bytes = Uint8Array.from(atob(scene.grid), (c) => c.charCodeAt(0));
    const lines = ["density", "", "0 " + bohr(scene.origin)];
    scene.axes.forEach((axis, k) => lines.push(scene.shape[k] + " " + bohr(axis.map((x) => x / scene.shape[k]))));
    return lines.join("\n") + "\n" + Array.from(bytes).join(" ") + "\n";
  }

  function buildDensity(place, scene) {
    const viewer = $3Dmol.createViewer(place, { backgroundColor: "white", antialias: true, disableFog: true });
    viewer.setProjection("orthographic");
    addFrame(viewer, scene);
    const volume = new $3Dmol.VolumeData(cubeOf(scene), "cube");
    scene.surfaces.forEach(function (surface) {
      viewer.addIsosurface(volume, {
        isoval: surface.level, color: surface.colour, opacity: surface.opacity, smoothness: 2,
      });
    });
    viewer.zoomTo();
    viewer.zoom(1.4);
    lookAlong(viewer, scene.axes, 1, true);
    document.querySelectorAll("[data-density-view]").forEach(function (button) {
      button.addEventListener("click", () => lookAlong(viewer, scene.axes, Number(button.dataset.densityView), false));
    });
  }

  function showStructure() {
    const place = document.getElementById("viewer");
    if (!place || !data.scene) {
      return;
    }
    const message = document.getElementById("viewer-message");
    if (!hasWebGL() || typeof $3Dmol === "undefined") {
      message.textContent = "This browser has no WebGL: a still picture is shown instead of the 3-D view.";
      return;
    }
    document.documentElement.classList.add("three-d");
    try {
      buildViewer(place, data.scene);
    } catch (error) {
      document.documentElement.classList.remove("three-d");
      message.textContent = "The 3-D view could not start (" + error.message + "): a still picture is shown instead.";
    }
  }

  // Atoms and the edges of the cell.
  function addFrame(viewer, scene) {
    scene.atoms.forEach(function (atom) {
      viewer.addSphere({
        center: point(atom.position), radius: scene.radii[atom.element], color: scene.colours[atom.element],
        quality: 2,
      });
    });
    scene.edges.forEach(function (edge) {
      viewer.addCylinder({
        start: point(edge[0]), end: point(edge[1]), radius: 0.05, color: "#52606d", fromCap: 1, toCap: 1,
      });
    });
  }

  function buildViewer(place, scene) {
    const viewer = $3Dmol.createViewer(place, { backgroundColor: "white", antialias: true, disableFog: true });
    viewer.setProjection("orthographic");
    addFrame(viewer, scene);
    let shapes = scene.polyhedra.flatMap((shape) => polyhedron(viewer, shape));
    viewer.zoomTo();
    viewer.zoom(1.5);
    lookAlong(viewer, scene.axes, 1, true);
    document.querySelectorAll("[data-view]").forEach(function (button) {
      button.addEventListener("click", function () {
        if (button.dataset.view !== "polyhedra") {
          lookAlong(viewer, scene.axes, Number(button.dataset.view), false);
          return;
        }
        if (shapes.length) {
          shapes.forEach((shape) => viewer.removeShape(shape));
          shapes = [];
        } else {
          shapes = scene.polyhedra.flatMap((shape) => polyhedron(viewer, shape));
        }
        button.setAttribute("aria-pressed", String(shapes.length > 0));
        viewer.render();
      });
    });
    if (!scene.polyhedra.length) {
      document.querySelector('[data-view="polyhedra"]').remove();
    }
  }

  const drawings = drawFigures();
  pictureLinks();
  sortTables();
  copyButtons();
  showStructure();
  showDensity();
  // Told to whoever waits for the page, such as its tests.
  Promise.all(drawings).then(() => (document.documentElement.dataset.drawn = "yes"));
})();
