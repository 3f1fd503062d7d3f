// Parallel coordinates: one axis per choice, hyperparameter, objective and cost; dragging along an axis filters.

const RAMP = ['var(--r0)', 'var(--r1)', 'var(--r2)', 'var(--r3)', 'var(--r4)'];

/** Axes of first interest: the most important choices and hyperparameters, then costs, then objectives. */
const usualAxes = (model, most = 9) => {
  const ranked = new Map();
  for (const study of model.studies) {
    for (const part of Object.values(study.importance)) for (const [key, share] of part.rows) ranked.set(key, Math.max(share, ranked.get(key) || 0));
  }
  const varied = (group) => model.of(group).filter((dim) => dim.varied);
  const made = [...varied('choice'), ...varied('hyperparameter')].sort((a, b) => (ranked.get(b.key) || 0) - (ranked.get(a.key) || 0));
  const results = [...varied('cost').slice(0, 2), ...varied('objective').reverse()];
  const room = Math.max(2, most - results.length);
  const kept = new Set(made.slice(0, room));
  return [...[...model.dims.values()].filter((dim) => kept.has(dim)), ...results].map((dim) => dim.key);
};

const parallel = (host, { model, state, matched, pick, filter }) => {
  const dims = state.axes.map((key) => model.dims.get(key)).filter(Boolean);
  if (dims.length < 2) { host.replaceChildren(el('p', { class: 'note' }, 'Choose two or more axes.')); return; }
  const width = Math.max(Math.floor(host.clientWidth || 480), 92 * dims.length);
  const height = 340;
  const [top, bottom] = [44, height - 24];
  const scales = dims.map((dim) => scaleOf({ ...axisOf(dim), upright: true }, [...model.rows, ...model.bases].map((row) => dim.at(row)).filter((v) => v !== null), bottom, top, 5));
  const room = (scale) => 18 + 6.6 * Math.max(3, ...scale.ticks.map((tick) => scale.write(tick).length));
  const [left, right] = [room(scales[0]), room(scales[scales.length - 1])];
  const at = (index) => left + ((width - left - right) * index) / (dims.length - 1);
  const root = svg('svg', { viewBox: `0 0 ${width} ${height}`, width, height, class: 'chart parallel', role: 'group',
    'aria-label': `Parallel coordinates of ${plural(matched.length, 'trial')} over ${dims.map((dim) => dim.name).join(', ')}` });
  const route = (row) => {
    const points = [];
    dims.forEach((dim, index) => {
      const value = dim.at(row);
      if (value !== null) points.push([at(index), scales[index](value) + (dim.cat ? jitter(row) * 0.35 : 0)]);
    });
    return points;
  };
  const paths = new Map();
  const put = (key, row) => { const points = route(row); if (points.length > 1) paths.set(key, (paths.get(key) || '') + linePath(points)); };
  const inside = new Set(matched);
  for (const row of model.rows) if (!inside.has(row)) put('out', row);
  for (const row of matched) put(model.studies.length > 1 ? `study${row.s}` : row.grade === null ? 'none' : `grade${row.grade}`, row);
  const faint = Math.max(0.12, Math.min(0.75, 60 / Math.max(1, matched.length)));
  const draw = (key, colour, opacity, stroke = 1.1) => paths.has(key)
    && root.append(svg('path', { d: paths.get(key), fill: 'none', stroke: colour, 'stroke-opacity': opacity, 'stroke-width': stroke }));
  draw('out', 'var(--muted)', Math.min(0.1, faint)); draw('none', 'var(--muted)', faint);
  RAMP.forEach((colour, grade_) => draw(`grade${grade_}`, colour, Math.min(1, faint * (grade_ === 4 ? 2 : 1.2)), grade_ === 4 ? 1.4 : 1));
  model.studies.forEach((_, s) => draw(`study${s}`, MANY[s % MANY.length], faint));
  state.picked.forEach((key, index) => {
    const row = model.byKey.get(key);
    if (row) root.append(svg('path', { class: 'picked', d: linePath(route(row)), fill: 'none', stroke: PICKS[index], 'stroke-width': 2.6 }));
  });
  dims.forEach((dim, index) => axis(root, dim, scales[index], at(index), top, bottom, index, state, filter, dims.length, width));
  root.addEventListener('click', (event) => {
    if (event.target.closest('.brush')) return;
    const frame = root.getBoundingClientRect();
    const [mx, my] = [(event.clientX - frame.left) * width / frame.width, (event.clientY - frame.top) * height / frame.height];
    let found = null, least = 9;
    for (const row of matched) {
      const points = route(row);
      for (let i = 1; i < points.length; i += 1) {
        const [[ax, ay], [bx, by]] = [points[i - 1], points[i]];
        if (mx < ax || mx > bx) continue;
        const distance = Math.abs(ay + ((by - ay) * (mx - ax)) / (bx - ax || 1) - my);
        if (distance < least) { least = distance; found = row; }
      }
    }
    if (found) pick(found);
  });
  host.replaceChildren(root);
};

const axis = (root, dim, scale, x, top, bottom, index, state, filter, count, width) => {
  const middle = index === 0 ? 'start' : index === count - 1 ? 'end' : 'middle';
  const from = index === 0 ? 4 : index === count - 1 ? width - 4 : x;
  root.append(svg('text', { class: 'axis', x: from, y: index % 2 ? 13 : 28, 'text-anchor': middle },
    `${shorten(dim.name, 26)}${dim.direction === 'max' ? ' ↑' : dim.direction === 'min' ? ' ↓' : ''}`));
  root.append(svg('line', { class: 'rail', x1: x, x2: x, y1: top, y2: bottom }));
  for (const tick of scale.ticks) {
    const wide = 6.3 * scale.write(tick).length + 6;
    root.append(svg('rect', { class: 'behind', x: index === count - 1 ? x + 4 : x - 3 - wide, y: scale(tick) - 7, width: wide, height: 14, rx: 3 }));
    root.append(svg('text', { class: 'tick', x: index === count - 1 ? x + 6 : x - 6, y: scale(tick) + 4,
      'text-anchor': index === count - 1 ? 'start' : 'end' }, scale.write(tick)));
  }
  const range = state.ranges.get(dim.key);
  if (range) {
    const [a, b] = range.map((value) => Math.max(top, Math.min(bottom, scale(value))));
    root.append(svg('rect', { class: 'range', x: x - 8, width: 16, y: Math.min(a, b), height: Math.max(3, Math.abs(a - b)) }));
  }
  const area = svg('rect', { class: 'brush', x: x - 16, width: 32, y: top - 10, height: bottom - top + 20, 'data-axis': dim.key });
  let start = null, box = null;
  const place = (event) => {
    const frame = root.getBoundingClientRect();
    return Math.max(top, Math.min(bottom, (event.clientY - frame.top) * (root.viewBox.baseVal.height / frame.height)));
  };
  area.addEventListener('pointerdown', (event) => {
    start = place(event); area.setPointerCapture(event.pointerId);
    box = svg('rect', { class: 'range', x: x - 8, width: 16, y: start, height: 0 }); root.append(box); event.preventDefault();
  });
  area.addEventListener('pointermove', (event) => {
    if (start === null) return;
    const now = place(event);
    box.setAttribute('y', Math.min(start, now)); box.setAttribute('height', Math.abs(now - start));
  });
  area.addEventListener('pointerup', (event) => {
    if (start === null) return;
    const [a, b] = [start, place(event)];
    start = null;
    if (Math.abs(a - b) < 5) { filter(dim, null); return; }
    filter(dim, [scale.invert(a), scale.invert(b)].sort((p, q) => p - q));
  });
  area.addEventListener('pointercancel', () => { start = null; if (box) box.remove(); });
  root.append(area);
};
